// The face, or the whole photo, with what is hidden of it: brush and eraser, the landmarks, the faces of a photo.

const TINT = "#0072b2";
const WIDTHS = [2, 40]; // of the brush: 256 of them are as wide as the picture on the screen

const render = ({ model, el }) => {
  let erasing = false, width = 12, stroke = null, corner = null, shown = null, gone = false;
  el.classList.add("fi-editor");

  const bar = make("div", "fi-bar fi-tools", { role: "toolbar", "aria-label": "Drawing" }, el);
  const tool = (name, text, title, action) => button(bar, `fi-${name}`, text, title, action);
  const brush = tool("brush", "Brush", "Brush (b)", () => take(false));
  const eraser = tool("eraser", "Eraser", "Eraser (e)", () => take(true));
  const range = { type: "range", min: WIDTHS[0], max: WIDTHS[1], value: width, title: "Brush size ([ and ])" };
  const slider = make("input", "fi-width", range, bar);
  slider.setAttribute("aria-label", "Brush size");
  const ask = (what) => () => model.send({ do: what });
  const undo = tool("undo", "Undo", "Undo (z)", ask("undo"));
  const redo = tool("redo", "Redo", "Redo (shift z)", ask("redo"));

  const board = make("div", "fi-board fi-drawing", {}, el);
  const sheet = make("div", "fi-sheet", {}, board);
  const photo = make("img", "fi-portrait", { alt: "the aligned face", draggable: "false" }, sheet);
  const finer = finerOver(sheet);
  const canvas = make("canvas", "fi-hole", { tabindex: "0", role: "img" }, sheet);
  canvas.setAttribute("aria-label", "Mask: draw on the face; b brush, e eraser, z undo, g generate, a another answer");
  const landmarks = landmarksOver(sheet, model, canvas);
  const outline = make("div", "fi-outline", { "aria-hidden": "true" }, board);
  outline.hidden = true;
  const askFiner = (region) => model.send({ do: "finer", region });
  const closer = zoomable(board, sheet, askFiner, () => { outline.hidden = true; });
  model.on("msg:custom", ({ region }, [bytes]) => { if (closer.zoom() > 1) finer(bytes, region); });
  const people = make("div", "fi-people", { role: "group", "aria-label": "Faces in the photo: click one" }, board);
  const everybody = make("img", "", { alt: "the whole photo", draggable: "false" });
  everybody.addEventListener("load", () => { // a photo that is higher than wide fits into the square too
    people.style.width = `${100 * Math.min(1, everybody.naturalWidth / everybody.naturalHeight)}%`;
  });

  const foot = make("div", "fi-bar fi-foot", {}, el);
  button(foot, "fi-invert", "Invert", "Hide what is visible and the other way round", ask("invert"));
  button(foot, "fi-clear", "Clear", "Hide nothing", ask("clear"));
  const title = "Show the landmarks (l): drag one, or tab to them, choose by [ and ], move by arrows, with shift further";
  const marks = button(foot, "fi-marks", "Landmarks", title, ask("landmarks"));
  const release = button(foot, "fi-release", "Predict again", "Forget the landmarks moved by hand", ask("release"));
  const view = button(foot, "fi-view", "Photo", "Draw on the whole photo, or on the face (v)", ask("view"));
  const others = button(foot, "fi-others", "Other face", "Choose another face of the photo", ask("people"));
  const ratio = make("p", "fi-ratio", {}, foot);

  // ---------------------------------------------------------------------------------- the mask
  const context = canvas.getContext("2d");
  const extent = () => [model.get("wide"), model.get("high")]; // of the picture, in the pixels that are sent
  const fine = () => Math.max(...extent()) / 256 / closer.zoom(); // of them, for one of the brush's
  const trace = ({ points, radius, erasing }) => {
    const [wide, high] = extent(), across = canvas.width / wide, down = canvas.height / high;
    context.setTransform(across, 0, 0, down, across / 2, down / 2);
    context.globalCompositeOperation = erasing ? "destination-out" : "source-over";
    context.strokeStyle = context.fillStyle = TINT;
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = 2 * radius;
    context.beginPath();
    context.moveTo(points[0], points[1]);
    for (let i = 0; i < points.length; i += 2) context.lineTo(points[i], points[i + 1]);
    context.stroke();
    context.resetTransform();
    context.globalCompositeOperation = "source-over";
  };
  const paint = () => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(shown, 0, 0);
    context.globalCompositeOperation = "source-in"; // the mask's PNG is opaque where it hides, and clear elsewhere
    context.fillStyle = TINT;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "source-over";
    if (stroke) trace(stroke);
  };
  const showMask = async () => {
    const version = model.get("version"), [wide, high] = extent();
    const bitmap = await createImageBitmap(new Blob([model.get("mask")], { type: "image/png" }));
    if (gone || version !== model.get("version")) return;
    shown = bitmap;
    Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
    formed(sheet, wide, high);
    paint();
    canvas.dataset.version = version;
    const share = 100 * model.get("ratio");
    ratio.textContent = `${share.toFixed(0 < share && share < 1 ? 1 : 0)} % hidden`;
    undo.disabled = !model.get("can_undo");
    redo.disabled = !model.get("can_redo");
  };

  const place = (event) => {
    const box = canvas.getBoundingClientRect(), [wide, high] = extent();
    const at = (value, start, share) => Math.round(100 * ((value - start) * share - 0.5)) / 100;
    return [at(event.clientX, box.left, wide / box.width), at(event.clientY, box.top, high / box.height)];
  };
  const hover = (event) => {
    const box = board.getBoundingClientRect();
    const side = (2 * width * Math.max(sheet.offsetWidth, sheet.offsetHeight)) / 256;
    const gripping = landmarks.holds(event) || (!stroke && landmarks.near(event) >= 0);
    canvas.classList.toggle("fi-gripping", gripping);
    outline.hidden = gripping || model.get("squaring");
    Object.assign(outline.style, {
      width: `${side}px`, height: `${side}px`,
      transform: `translate(${event.clientX - box.left - side / 2}px, ${event.clientY - box.top - side / 2}px)`,
    });
  };
  const square = (event) => { // from a corner to the opposite one
    const [u, v] = corner, [x, y] = place(event), side = Math.max(Math.abs(x - u), Math.abs(y - v));
    return [x < u ? u - side : u, y < v ? v - side : v, side];
  };
  const PEN_ERASER = 5;
  canvas.addEventListener("pointerdown", (event) => {
    if ((event.button && event.button !== PEN_ERASER) || stroke) return;
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    if (model.get("squaring")) {
      corner = place(event);
      return;
    }
    const landmark = landmarks.near(event);
    if (landmark >= 0) {
      landmarks.take(landmark, event.pointerId);
      return;
    }
    const rubbed = erasing || event.button === PEN_ERASER;
    stroke = { id: event.pointerId, radius: width * fine(), erasing: rubbed, points: place(event) };
    trace(stroke);
  });
  canvas.addEventListener("pointermove", (event) => {
    hover(event);
    if (landmarks.holds(event)) landmarks.move(...place(event));
    if (corner) {
      const [left, top, side] = square(event), [wide, high] = extent();
      paint();
      context.strokeStyle = "#e69f00";
      context.lineWidth = canvas.width / 150;
      const across = canvas.width / wide, down = canvas.height / high;
      context.strokeRect(left * across, top * down, side * across, side * down);
    }
    if (event.pointerId !== stroke?.id) return;
    const moves = event.getCoalescedEvents?.() ?? [], least = 0.5 * fine();
    for (const one of moves.length ? moves : [event]) {
      const [x, y] = place(one), [u, v] = stroke.points.slice(-2);
      if (Math.hypot(x - u, y - v) >= least) stroke.points.push(x, y);
    }
    trace(stroke);
  });
  const end = (event) => {
    if (landmarks.holds(event)) landmarks.send();
    if (corner) {
      const [left, top, side] = square(event);
      corner = null;
      model.send({ do: "square", left, top, side });
    }
    if (event.pointerId !== stroke?.id) return;
    const { radius, erasing, points } = stroke;
    stroke = null;
    model.send({ do: erasing ? "erase" : "paint", stroke: [radius, points], on_photo: model.get("whole") });
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => { outline.hidden = true; });
  board.addEventListener("fi-pinch", () => { // a second finger looks closer, and draws nothing
    stroke = corner = null;
    paint();
  });
  const take = (eraserToo) => {
    erasing = eraserToo;
    brush.setAttribute("aria-pressed", !erasing);
    eraser.setAttribute("aria-pressed", erasing);
    outline.classList.toggle("fi-erasing", erasing);
  };
  take(false);
  slider.addEventListener("input", () => { width = Number(slider.value); });
  const widen = (step) => () => {
    width = Math.min(WIDTHS[1], Math.max(WIDTHS[0], width + step));
    slider.value = width;
  };

  // --------------------------------------------------------------- the faces of a photo with several
  const showState = () => {
    const whole = model.get("whole");
    photo.alt = whole ? "the whole photo" : "the aligned face";
    view.textContent = whole ? "Face" : "Photo";
    marks.disabled = view.disabled = model.get("squaring");
    marks.setAttribute("aria-pressed", model.get("points").length > 0);
    release.hidden = !model.get("pulled");
    others.hidden = !model.get("several");
    others.setAttribute("aria-pressed", model.get("boxes").length > 0);
  };
  const showPeople = () => {
    const boxes = model.get("boxes");
    board.classList.toggle("fi-choosing", boxes.length > 0);
    people.replaceChildren(...(boxes.length ? [everybody] : []));
    boxes.forEach(([left, top, wide, high], number) => {
      const title = `Face ${number + 1} of ${boxes.length}`;
      const box = button(people, "fi-face", "", title, () => model.send({ do: "face", number }));
      Object.assign(box.style, {
        left: `${left}%`, top: `${top}%`, width: `${wide}%`, height: `${high}%`,
      });
    });
  };

  const stops = [follow(model, "picture", photo), follow(model, "photo", everybody)];
  model.on("change:version", showMask);
  model.on("change:picture", closer.reset);
  for (const trait of ["points", "pulled", "boxes", "several", "whole", "squaring"]) model.on(`change:${trait}`, showState);
  model.on("change:boxes", showPeople);
  showMask();
  showState();
  showPeople();

  // ---------------------------------------------------------------------------------- the keys
  const keys = {
    b: () => take(false), e: () => take(true), l: ask("landmarks"),
    g: () => root.querySelector(".fi-generate").click(), a: () => root.querySelector(".fi-another").click(),
    v: ask("view"), z: ask("undo"), Z: ask("redo"), "[": widen(-2), "]": widen(2),
    o: () => root.dispatchEvent(new CustomEvent("fi-peek", { detail: true })),
  };
  const again = { z: "z", y: "Z", Z: "Z" }; // with Ctrl or Cmd
  const typed = (event) => event.target.matches("select, textarea, input:not([type=range], [type=checkbox]), [contenteditable]");
  const press = (event) => {
    if (typed(event) || event.altKey) return;
    const key = event.ctrlKey || event.metaKey ? again[event.key] : event.key;
    if (!key || landmarks.press(event)) return;
    if (!keys[key] && !(key === event.key && closer.press(key))) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat || !"ga".includes(key)) keys[key]?.(); // held, it asks once
  };
  const lift = (event) => { // of a window that is left nobody hears when it is
    if (event.key === "o" || event.type === "blur") root.dispatchEvent(new CustomEvent("fi-peek", { detail: false }));
  };
  // A button that is disabled or hidden by its click has no focus any more; the keys are the studio's all the same.
  let root = null, ours = false;
  const lost = (event) => { if (ours && event.target === document.body) press(event); };
  const touched = (event) => {
    ours = root.contains(event.target);
    // Or JupyterLab would take x for a cell to cut: it looks at what has the focus first, and then around it.
    if (ours) event.target.setAttribute("data-lm-suppress-shortcuts", "true");
  };
  studioOf(el, (found) => {
    root = found;
    root.setAttribute("data-lm-suppress-shortcuts", "true");
    if (inNotebook()) root.tabIndex = -1; // or a click on words would give the focus to the cell around it
    else root.setAttribute("role", "main");
    root.addEventListener("keydown", press);
    window.addEventListener("keyup", lift);
    window.addEventListener("blur", lift);
    document.addEventListener("keydown", lost);
    for (const kind of ["pointerdown", "focusin"]) document.addEventListener(kind, touched, true);
  }, () => gone);
  return () => {
    gone = true;
    root?.removeEventListener("keydown", press);
    window.removeEventListener("keyup", lift);
    window.removeEventListener("blur", lift);
    document.removeEventListener("keydown", lost);
    for (const kind of ["pointerdown", "focusin"]) document.removeEventListener(kind, touched, true);
    stops.forEach((stop) => stop());
  };
};

export default { render };
