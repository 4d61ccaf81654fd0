"use strict";
/* A cursor over all plots of a picture, and zoom. The cursor follows the pointer, a touch, or the arrow keys once the
   picture has the focus, and says what every plot shows at that time; the same words are the titles that a pointer alone
   would find. Zoom is by buttons, by the keys + - 0, by dragging over a span, or by the wheel with Ctrl; pictures under
   one time axis zoom together. What lies in "fixed" (legends), and what lies left of the axis (names), stays. */
(function () {
  var ns = "http://www.w3.org/2000/svg", closest = 1 / 400, pictures = [];

  function drawn(parent, name, attributes) {
    var made = document.createElementNS(ns, name);
    Object.keys(attributes).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    parent.appendChild(made);
    return made;
  }

  function shown(mark, visible) {
    if (visible) mark.removeAttribute("display"); else mark.setAttribute("display", "none");
  }

  function titled(svg) {
    return Array.prototype.map.call(svg.querySelectorAll("title"), function (title) {
      var mark = title.parentNode;
      if (mark.getAttribute("display") === "none") return null;
      var box = mark.getBBox();
      return { left: box.x, right: box.x + box.width, top: box.y, text: title.textContent };
    }).filter(Boolean);
  }

  /* What is placed in time, as it was drawn: a function for each that draws it at its place under another window. */
  function movers(svg, left, right, clip) {
    var found = [], marks = svg.querySelectorAll("rect, text, path");
    Array.prototype.forEach.call(marks, function (mark) {
      if (mark.closest(".fixed")) return;
      if (mark.tagName === "path") {
        var data = mark.getAttribute("d"), upright = /^M([\d.]+) [\d.]+L([\d.]+) [\d.]+$/.exec(data);
        if (upright && upright[1] === upright[2] && /\b(grid|zero)\b/.test(mark.getAttribute("class") || "")) return;
        var at = Number(/^M(-?[\d.]+)/.exec(data)[1]), line = data.indexOf("L") > 0;
        if (line) mark.setAttribute("clip-path", "url(#" + clip + ")");
        found.push(function (place) {
          mark.setAttribute("d", data.replace(/([ML])(-?[\d.]+)/g, function (_, pen, x) {
            return pen + place(Number(x)).toFixed(1);
          }));
          shown(mark, line || (place(at) >= left - 1 && place(at) <= right + 1));
        });
        return;
      }
      var x = Number(mark.getAttribute("x")), width = Number(mark.getAttribute("width") || 0);
      if (x < left - 1 || /\btick-label\b/.test(mark.getAttribute("class") || "")) return;
      found.push(function (place) {
        var from = place(x), to = place(x + width);
        if (mark.tagName === "text") {
          mark.setAttribute("x", from.toFixed(1));
          shown(mark, from >= left && from <= right);
          return;
        }
        shown(mark, to >= left && from <= right);
        from = Math.max(left, from);
        mark.setAttribute("x", from.toFixed(1));
        mark.setAttribute("width", Math.max(0.5, Math.min(right, to) - from).toFixed(1));
      });
    });
    return found;
  }

  function stepOf(span) {
    var power = Math.pow(10, Math.floor(Math.log10(span / 10)));
    return [1, 2, 5, 10].map(function (size) { return size * power; }).filter(function (step) {
      return span / step <= 12;
    })[0];
  }

  function setUp(svg, number) {
    var left = Number(svg.getAttribute("data-left")), right = Number(svg.getAttribute("data-right"));
    var start = Number(svg.getAttribute("data-start")), end = Number(svg.getAttribute("data-end"));
    if (!(right > left) || !(end > start)) return;
    var height = svg.viewBox.baseVal.height, from = start, to = end, at = null, held = null;
    var clip = "plots-" + number, labels = svg.querySelectorAll(".tick-label");
    var uprights = Array.prototype.filter.call(svg.querySelectorAll("path.grid, path.zero"), function (mark) {
      var ends = /^M([\d.]+) [\d.]+L([\d.]+) [\d.]+$/.exec(mark.getAttribute("d"));
      return ends && ends[1] === ends[2];
    });
    var area = drawn(drawn(svg, "clipPath", { id: clip }), "rect", { y: 0, height: height });
    area.setAttribute("x", left);
    area.setAttribute("width", right - left);
    var moving = movers(svg, left, right, clip);
    var ticks = drawn(svg, "g", { "class": "ticks" });
    var line = drawn(svg, "path", { "class": "cursor" });
    var chosen = drawn(svg, "rect", { "class": "chosen", y: 0, height: height, display: "none" });
    var marks = titled(svg);
    var told = document.createElement("div");
    told.className = "readout";
    told.setAttribute("aria-live", "polite");
    told.textContent = "Point at the plots, or focus them and use the arrow keys, to read every value at one time. " +
      "Drag over a span to zoom into it; the keys + - and 0 zoom, too.";
    var scroll = svg.parentNode;
    scroll.parentNode.insertBefore(told, scroll.nextSibling);

    function timeAt(x) { return from + (x - left) / (right - left) * (to - from); }

    function placeOf(t) { return left + (t - from) / (to - from) * (right - left); }

    function words(t) { return (t < 0 ? "−" : "+") + Math.abs(t).toFixed(3) + "s"; }

    function draw() {
      var whole = from === start && to === end;
      moving.forEach(function (move) {
        move(function (x) { return whole ? x : placeOf(start + (x - left) / (right - left) * (end - start)); });
      });
      Array.prototype.forEach.call(labels, function (label) { shown(label, whole); });
      uprights.forEach(function (mark) { shown(mark, whole); });
      while (ticks.firstChild) ticks.removeChild(ticks.firstChild);
      var step = stepOf(to - from);
      for (var n = Math.ceil(from / step); !whole && n * step <= to; n += 1) tick(n, step);
      span.textContent = whole ? "" : words(from) + " to " + words(to);
      marks = titled(svg);
      if (at !== null) show(placeOf(Math.min(to, Math.max(from, at))));
    }

    function tick(n, step) {
      var x = placeOf(n * step).toFixed(1), rows = {};
      drawn(ticks, "path", { "class": n ? "grid" : "zero", d: "M" + x + " 20V" + (height - 30) });
      Array.prototype.forEach.call(labels, function (label) { rows[label.getAttribute("y")] = true; });
      Object.keys(rows).forEach(function (y) {
        drawn(ticks, "text", { "class": "tick-label", x: x, y: y, "text-anchor": "middle" }).textContent =
          n ? Number((n * step).toFixed(4)) + "s" : "0";
      });
    }

    /* To a span of time: kept within the run and above the closest zoom. */
    function zoom(low, high) {
      var length = Math.min(end - start, Math.max(high - low, (end - start) * closest));
      low = Math.min(end - length, Math.max(start, (low + high - length) / 2));
      pictures.forEach(function (picture) {
        if (picture.start === start && picture.end === end) picture.look(low, low + length);
      });
    }

    function by(factor, t) {
      var about = t === undefined ? (at !== null && at >= from && at <= to ? at : (from + to) / 2) : t;
      zoom(about - (about - from) * factor, about + (to - about) * factor);
    }

    function show(x) {
      x = Math.min(right, Math.max(left, x));
      at = timeAt(x);
      line.setAttribute("d", "M" + x.toFixed(1) + " 0V" + height);
      var said = marks.filter(function (mark) { return mark.left - 2 <= x && x <= mark.right + 2; })
        .sort(function (one, other) { return one.top - other.top; })
        .map(function (mark) { return mark.text; });
      told.textContent = "";
      var head = document.createElement("b");
      head.textContent = words(at);
      told.appendChild(head);
      said.slice(0, 24).forEach(function (text) {
        var row = document.createElement("span");
        row.textContent = text;
        told.appendChild(row);
      });
    }

    function pointed(event) {
      var box = svg.getBoundingClientRect();
      return (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    }

    function choose(event) {
      var x = Math.min(right, Math.max(left, pointed(event))), low = Math.min(held, x);
      chosen.setAttribute("x", low.toFixed(1));
      chosen.setAttribute("width", Math.abs(held - x).toFixed(1));
      shown(chosen, Math.abs(held - x) > 4);
    }

    function moved(t) {
      var length = to - from;
      if (t < from) zoom(t, t + length);
      else if (t > to) zoom(t - length, t);
      show(placeOf(t));
    }

    svg.addEventListener("pointermove", function (event) {
      show(pointed(event));
      if (held !== null) choose(event);
    });
    svg.addEventListener("pointerdown", function (event) {
      show(pointed(event));
      if (event.pointerType === "touch" || event.button) return;  // a finger scrolls
      held = Math.min(right, Math.max(left, pointed(event)));
    });
    window.addEventListener("pointerup", function (event) {
      if (held === null) return;
      var x = Math.min(right, Math.max(left, pointed(event))), first = held;
      held = null;
      shown(chosen, false);
      if (Math.abs(x - first) > 4) zoom(timeAt(Math.min(first, x)), timeAt(Math.max(first, x)));
    });
    svg.addEventListener("wheel", function (event) {
      if (!event.ctrlKey) return;
      event.preventDefault();
      by(event.deltaY < 0 ? 0.8 : 1.25, timeAt(Math.min(right, Math.max(left, pointed(event)))));
    }, { passive: false });
    svg.addEventListener("keydown", function (event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      var step = (to - from) / (event.shiftKey ? 20 : 240), t = at === null ? from : at;
      var next = { ArrowLeft: -step, ArrowRight: step }[event.key];
      if (event.key === "Home") moved(start);
      else if (event.key === "End") moved(end);
      else if (next) moved(Math.min(end, Math.max(start, t + next)));
      else if (event.key === "+" || event.key === "=") by(0.5);
      else if (event.key === "-") by(2);
      else if (event.key === "0") zoom(start, end);
      else return;
      event.preventDefault();
    });

    var bar = document.createElement("div"), span = document.createElement("span");
    bar.className = "zoom";
    [["Zoom in", function () { by(0.5); }], ["Zoom out", function () { by(2); }],
      ["Earlier", function () { zoom(from - (to - from) / 2, from + (to - from) / 2); }],
      ["Later", function () { zoom(from + (to - from) / 2, to + (to - from) / 2); }],
      ["Whole run", function () { zoom(start, end); }]].forEach(function (button) {
      var made = document.createElement("button");
      made.type = "button";
      made.textContent = button[0];
      made.addEventListener("click", button[1]);
      bar.appendChild(made);
    });
    span.setAttribute("aria-live", "polite");
    bar.appendChild(span);
    scroll.parentNode.insertBefore(bar, scroll);
    pictures.push({ start: start, end: end, look: function (low, high) { from = low; to = high; draw(); } });
  }

  Array.prototype.forEach.call(document.querySelectorAll("svg.timeline[data-left]"), setUp);
}());
