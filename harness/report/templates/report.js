"use strict";
/* A cursor over all plots of a picture: by pointer, by touch, or by the arrow keys once the picture has the focus. It
   says what every plot shows at that time; the same words are the titles that a pointer alone would find. */
(function () {
  var ns = "http://www.w3.org/2000/svg";

  function titled(svg) {
    return Array.prototype.map.call(svg.querySelectorAll("title"), function (title) {
      var mark = title.parentNode, box = mark.getBBox();
      return { left: box.x, right: box.x + box.width, top: box.y, text: title.textContent };
    });
  }

  function setUp(svg) {
    var left = Number(svg.getAttribute("data-left")), right = Number(svg.getAttribute("data-right"));
    var start = Number(svg.getAttribute("data-start")), end = Number(svg.getAttribute("data-end"));
    if (!(right > left) || !(end > start)) return;
    var marks = titled(svg), at = null;
    var line = document.createElementNS(ns, "path");
    line.setAttribute("class", "cursor");
    svg.appendChild(line);
    var told = document.createElement("div");
    told.className = "readout";
    told.setAttribute("aria-live", "polite");
    told.textContent = "Point at the plots, or focus them and use the arrow keys, to read every value at one time.";
    svg.parentNode.parentNode.insertBefore(told, svg.parentNode.nextSibling);

    function show(x) {
      at = Math.min(right, Math.max(left, x));
      var height = svg.viewBox.baseVal.height;
      line.setAttribute("d", "M" + at + " 0V" + height);
      var t = start + (at - left) / (right - left) * (end - start);
      var said = marks.filter(function (mark) { return mark.left - 2 <= at && at <= mark.right + 2; })
        .sort(function (one, other) { return one.top - other.top; })
        .map(function (mark) { return mark.text; });
      told.textContent = "";
      var head = document.createElement("b");
      head.textContent = (t < 0 ? "−" : "+") + Math.abs(t).toFixed(3) + "s";
      told.appendChild(head);
      said.slice(0, 24).forEach(function (text) {
        var row = document.createElement("span");
        row.textContent = text;
        told.appendChild(row);
      });
    }

    function pointed(event) {
      var box = svg.getBoundingClientRect();
      show((event.clientX - box.left) / box.width * svg.viewBox.baseVal.width);
    }

    svg.addEventListener("pointermove", pointed);
    svg.addEventListener("pointerdown", pointed);
    svg.addEventListener("keydown", function (event) {
      var step = (right - left) / (event.shiftKey ? 20 : 240);
      var next = { ArrowLeft: -step, ArrowRight: step }[event.key];
      if (event.key === "Home") show(left);
      else if (event.key === "End") show(right);
      else if (next) show((at === null ? left : at) + next);
      else return;
      event.preventDefault();
    });
  }

  Array.prototype.forEach.call(document.querySelectorAll("svg.timeline[data-left]"), setUp);
}());
