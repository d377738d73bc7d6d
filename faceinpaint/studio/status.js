// One sentence about what has happened, how far the work is, and help.

const HELP = [
  ["Begin", "choose or open a photo, hide a part of the face by a mask or the brush, and generate"],
  ["b, e", "brush, eraser"], ["z, shift z", "undo, redo"], ["g", "generate the likeliest answer"],
  ["a", "another answer for the same hole, with another expression and appearance, to be compared in the history"],
  ["l", "show the landmarks, which tell the generator where to paint what; drag one, or"],
  ["[ and ]", "go through them"], ["arrows", "move the chosen one by a pixel, with shift by five; then generate again"],
  ["Reference", "a second photo of the same person: what it shows of the hidden part is used"],
  ["Turn", "turns the photo, or the last one in which no face was found, and looks for faces again"],
  ["Face distance", "how far a face recogniser finds the completed face from the original one, or from the reference: "
    + "0 is the same picture, and up to the threshold it takes both for the same person"],
  ["Whole photo", "what you hide yourself may be damage, and then there is no original face to compare with: tick that "
    + "the photo is whole under the mask"],
];

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
  const show = () => {
    words.textContent = model.get("words");
    words.dataset.kind = model.get("kind");
    const share = model.get("share");
    bar.value = Math.max(0, share);
    bar.classList.toggle("fi-idle", share < 0);
  };
  model.on("change", show);
  show();
};

export default { render };
