// One sentence about what has happened, how far the work is, help, and whether there is still a kernel behind it all.

const HELP = [
  ["Begin", "choose or open a photo, hide a part of the face by a mask or the brush, and generate"],
  ["b, e", "brush, eraser (a pen's other end erases too)"], ["[ and ]", "a smaller, a larger brush"],
  ["z, shift z", "undo, redo; Ctrl or Cmd with z and y as well"], ["g", "generate the likeliest answer"],
  ["a", "another answer for the same hole, with another expression and appearance, to be compared in the history"],
  ["o", "hold it to see the original"], ["v", "draw on the whole photo, or on the face"],
  ["+, -, 0", "closer, further away, show all; the wheel and two fingers do it too, the middle button moves"],
  ["l", "show the landmarks, which tell the generator where to paint what; drag one, or"],
  ["tab, [ and ]", "go to them, and from one to another"],
  ["arrows", "move the chosen one by a pixel, with shift by five; then generate again"],
  ["Go on", "makes a result the photo: mend a flaw by a second stroke, or complete another face"],
  ["Reference", "a second photo of the same person: what it shows of the hidden part is used"],
  ["Turn", "turns the photo, or the last one in which no face was found, and looks for faces again"],
  ["Face distance", "how far a face recogniser finds the completed face from the original one, or from the reference: "
    + "0 is the same picture, and up to the threshold it takes both for the same person"],
  ["Whole photo", "what you hide yourself may be damage, and then there is no original face to compare with: tick that "
    + "the photo is whole under the mask"],
];
const LOST = "The studio's kernel is gone: it was ended, or this machine slept. Save what is here";
const PATIENCE = 2000; // milliseconds for an answer to a click
const DEAD = ["restarting", "autorestarting", "dead", "terminating"];

const render = ({ model, el }) => {
  el.classList.add("fi-status");
  const words = make("p", "fi-words", { role: "status", "aria-live": "polite" }, el);
  const bar = make("progress", "fi-progress", { max: "1", "aria-label": "Progress" }, el);
  const help = make("dl", "fi-help", {});
  const ask = button(el, "fi-ask", "Help", "What to do, and the keys", () => open(help.hidden));
  el.append(help);
  for (const [key, meaning] of HELP) {
    make("dt", "", { text: key }, help);
    make("dd", "", { text: meaning }, help);
  }
  const open = (wanted) => {
    help.hidden = !wanted;
    ask.setAttribute("aria-expanded", wanted);
  };
  open(false);
  el.addEventListener("keydown", (event) => { if (event.key === "Escape") open(false); });
  // What nobody answers must not look as if it worked: the page says so, and brings its photo and mask to the next kernel.
  let root = null, ended = false, gone = false;
  const again = button(el, "fi-again fi-primary", "Take up again", "Go on with photo and mask in a new kernel", () => {
    root.leaving = true;
    root.dispatchEvent(new CustomEvent("fi-take-along"));
  });
  again.hidden = true;
  const kernel = model.widget_manager?.kernel;
  const lost = () => ended || (kernel && kernel.connectionStatus !== "connected");
  const follow = () => {
    root?.classList.toggle("fi-lost", lost());
    again.hidden = !lost() || inNotebook();
    show();
  };
  const status = (_, now) => {
    ended ||= DEAD.includes(now);
    follow();
  };
  kernel?.statusChanged.connect(status);
  kernel?.connectionStatusChanged.connect(follow);
  // A second click before the first is answered asks for nothing.
  let asked = 0;
  const once = (event) => {
    if (!event.target.closest(".fi-generate, .fi-another")) return;
    if (Date.now() - asked < PATIENCE) event.stopImmediatePropagation();
    else asked = Date.now();
  };
  model.on("change", () => { if (model.get("share") < 0) asked = 0; });
  studioOf(el, (found) => {
    root = found;
    root.addEventListener("click", once, true);
  }, () => gone);
  const show = () => {
    const how = again.hidden ? "run the cell again" : "take it up again";
    words.textContent = lost() ? `${LOST}, then ${how}.` : model.get("words");
    words.dataset.kind = lost() ? "error" : model.get("kind");
    const share = model.get("share");
    bar.value = Math.max(0, share);
    bar.classList.toggle("fi-idle", share < 0);
  };
  model.on("change", show);
  show();
  return () => {
    gone = true;
    root?.removeEventListener("click", once, true);
    kernel?.statusChanged.disconnect(status);
    kernel?.connectionStatusChanged.disconnect(follow);
  };
};

export default { render };
