// What an opener has beside its button when it opens a reference: the picture, another photo, and how to be rid of it.

const referenceIn = (el, model) => {
  const title = "Take another photo of this person as the reference";
  const another = button(el, "fi-another-photo", "Another photo", title, () => model.send({ do: "another" }));
  const slot = make("div", "fi-slot", { role: "group", "aria-label": "Reference" }, el);
  const picture = make("img", "fi-reference", { alt: "the reference", draggable: "false" }, slot);
  make("span", "", { text: "Reference" }, slot);
  const forget = () => {
    model.send({ do: "forget" });
    el.querySelector(".fi-open").focus(); // the button that had the focus is about to be hidden
  };
  button(slot, "fi-forget", "Remove", "Remove the reference", forget);
  const show = () => {
    another.hidden = !model.get("known");
    slot.hidden = !model.get("picture")?.byteLength;
  };
  model.on("change", show);
  show();
  return follow(model, "picture", picture);
};
