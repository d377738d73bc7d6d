// A sheet of pictures that one looks at closer: by the wheel, two fingers, buttons, and moved by the middle button.

const CLOSEST = 16; // times
const STEP = 1.5; // times, by a button or a key

const REST = 200; // milliseconds, after which what is looked at is asked for in finer pixels

// look: is told each time that the sheet was zoomed or moved. finer: is asked for the part of the sheet that one looks at
// (left, top, right, bottom, shares of it), once it rests. Another finger on the board ends what one has begun: the board
// then gets the event "fi-pinch".
const zoomable = (board, sheet, finer, look = () => {}) => {
  let zoom = 1, x = 0, y = 0, dragged = null, pinching = false; // x, y: how far the sheet was moved, on the screen
  let resting = 0;
  const fingers = new Map();
  const lay = () => {
    const most = (inner, outer) => Math.max(0, (inner * zoom - outer) / 2);
    const within = (value, far) => Math.min(far, Math.max(-far, value));
    x = within(x, most(sheet.offsetWidth, board.clientWidth));
    y = within(y, most(sheet.offsetHeight, board.clientHeight));
    sheet.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    sheet.style.setProperty("--fi-zoom", zoom);
    fit.hidden = out.hidden = zoom === 1;
    closer.disabled = zoom === CLOSEST;
    look();
    clearTimeout(resting);
    if (zoom === 1) for (const one of sheet.querySelectorAll(".fi-finer")) one.hidden = true;
    else resting = setTimeout(() => finer(seen()), REST);
  };
  const seen = () => {
    const inner = sheet.getBoundingClientRect(), outer = board.getBoundingClientRect();
    const across = (at) => Math.min(1, Math.max(0, (at - inner.left) / inner.width));
    const down = (at) => Math.min(1, Math.max(0, (at - inner.top) / inner.height));
    return [across(outer.left), down(outer.top), across(outer.right), down(outer.bottom)];
  };
  const by = (factor, at = null) => { // about a place of the screen, or the middle
    const box = board.getBoundingClientRect();
    const u = at ? at[0] - box.left - box.width / 2 : 0, v = at ? at[1] - box.top - box.height / 2 : 0;
    const next = Math.min(CLOSEST, Math.max(1, zoom * factor));
    x = u + ((x - u) * next) / zoom;
    y = v + ((y - v) * next) / zoom;
    zoom = next;
    lay();
  };
  const bar = make("div", "fi-zoom", { role: "group", "aria-label": "Look closer" }, board);
  const fit = button(bar, "fi-fit", "All", "Show all (0)", () => by(1 / CLOSEST));
  const out = button(bar, "fi-out", "−", "Further away (-)", () => by(1 / STEP));
  const closer = button(bar, "fi-closer", "+", "Closer (+, or the wheel)", () => by(STEP));

  board.addEventListener("wheel", (event) => { // of a page that scrolls only what one works on takes the wheel
    const mine = event.ctrlKey || event.metaKey || board.contains(document.activeElement);
    if (!mine || (zoom === 1 && event.deltaY > 0 && !event.ctrlKey)) return;
    event.preventDefault();
    const lines = event.deltaMode ? 16 : 1, pinch = event.ctrlKey ? 4 : 1; // a touchpad's pinch comes in small steps
    by(Math.exp(-0.002 * lines * pinch * event.deltaY), [event.clientX, event.clientY]);
  }, { passive: false });

  const middle = () => {
    const [a, b = a] = [...fingers.values()];
    return { at: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], far: Math.hypot(a[0] - b[0], a[1] - b[1]) };
  };
  const down = (event) => {
    if (event.target.closest(".fi-zoom")) return;
    if (event.button === 1) {
      event.preventDefault();
      event.stopPropagation();
      board.setPointerCapture(event.pointerId);
      dragged = event.pointerId;
    }
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size < 2) return;
    event.stopPropagation();
    if (!pinching) board.dispatchEvent(new CustomEvent("fi-pinch"));
    pinching = true;
  };
  const move = (event) => {
    if (event.pointerId === dragged) {
      event.stopPropagation();
      x += event.movementX;
      y += event.movementY;
      lay();
    }
    if (!fingers.has(event.pointerId)) return;
    const before = middle();
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (!pinching) return;
    event.stopPropagation();
    const { at, far } = middle();
    x += at[0] - before.at[0];
    y += at[1] - before.at[1];
    by(before.far ? far / before.far : 1, at);
  };
  const up = (event) => {
    if (event.pointerId === dragged) dragged = null;
    if (!fingers.delete(event.pointerId) || !pinching) return;
    event.stopPropagation();
    pinching = fingers.size > 0; // what is left of two fingers begins nothing
  };
  const handlers = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up };
  for (const [name, handler] of Object.entries(handlers)) board.addEventListener(name, handler, true);
  new ResizeObserver(lay).observe(board);
  return {
    zoom: () => zoom,
    askAgain: lay,
    reset: () => by(1 / CLOSEST),
    press: (key) => {
      const factor = { "+": STEP, "=": STEP, "-": 1 / STEP, 0: 1 / CLOSEST }[key];
      if (factor) by(factor);
      return Boolean(factor);
    },
  };
};

// The sheet as large as fits into a square board, given the form of what it shows.
const formed = (sheet, wide, high) => Object.assign(sheet.style, {
  width: `${Math.min(100, (100 * wide) / high)}%`, height: `${Math.min(100, (100 * high) / wide)}%`,
});

// A part of a picture in finer pixels, laid over it.
const finerOver = (layer) => {
  const image = make("img", "fi-finer", { alt: "", draggable: "false" }, layer);
  let url = "";
  image.hidden = true;
  return (bytes, [left, top, right, bottom]) => {
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([bytes]));
    image.src = url;
    image.hidden = !bytes.byteLength;
    const place = { left, top, width: right - left, height: bottom - top };
    for (const [side, share] of Object.entries(place)) image.style[side] = `${100 * share}%`;
  };
};
