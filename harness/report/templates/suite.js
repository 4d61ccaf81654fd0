"use strict";
(function () {
  var table = document.getElementById("table");
  var controls = document.getElementById("controls");
  if (!table || !controls) return;
  var body = table.tBodies[0];
  var rows = Array.prototype.slice.call(body.rows);
  var text = document.getElementById("filter");
  var boxes = Array.prototype.slice.call(controls.querySelectorAll("input[type=checkbox]"));
  var shown = document.getElementById("shown");
  controls.hidden = false;

  function apply() {
    var wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    var off = boxes.filter(function (box) { return !box.checked; }).map(function (box) { return box.value; });
    var count = 0;
    rows.forEach(function (row) {
      var content = row.textContent.toLowerCase();
      var visible = off.indexOf(row.getAttribute("data-word")) < 0
        && wanted.every(function (word) { return content.indexOf(word) >= 0; });
      row.hidden = !visible;
      if (visible) count += 1;
    });
    shown.textContent = count + " of " + rows.length + " runs";
  }

  function value(row, column) {
    var cell = row.cells[column];
    var key = cell.getAttribute("data-v");
    return key === null ? cell.textContent.trim().toLowerCase() : Number(key);
  }

  function sort(column, heading) {
    var up = heading.getAttribute("aria-sort") !== "ascending";
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell) { cell.removeAttribute("aria-sort"); });
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort(function (one, other) {
      var a = value(one, column), b = value(other, column);
      var order = a < b ? -1 : a > b ? 1 : 0;
      return up ? order : -order;
    });
    rows.forEach(function (row) { body.appendChild(row); });
  }

  Array.prototype.forEach.call(table.tHead.rows[0].cells, function (heading, column) {
    var button = document.createElement("button");
    button.type = "button";
    while (heading.firstChild) button.appendChild(heading.firstChild);
    button.addEventListener("click", function () { sort(column, heading); });
    heading.appendChild(button);
  });
  text.addEventListener("input", apply);
  boxes.forEach(function (box) { box.addEventListener("change", apply); });
  apply();
}());
