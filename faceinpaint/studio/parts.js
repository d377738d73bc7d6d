// What the parts of the studio share. A part's own module is appended to this text, so there is no build step.

const make = (tag, name, attributes = {}, parent = null) => {
  const node = document.createElement(tag);
  node.className = name;
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") node.textContent = value;
    else node.setAttribute(key, value);
  }
  parent?.append(node);
  return node;
};

const button = (parent, name, text, title, action) => {
  const node = make("button", `fi-button ${name}`, { type: "button", title, "aria-label": title }, parent);
  node.textContent = text;
  node.addEventListener("click", action);
  return node;
};

// An <img> that shows the picture in a model's trait and follows it.
const follow = (model, trait, image) => {
  let url = "";
  const show = () => {
    const bytes = model.get(trait);
    if (url) URL.revokeObjectURL(url);
    url = bytes?.byteLength ? URL.createObjectURL(new Blob([bytes])) : "";
    if (url) image.src = url;
    else image.removeAttribute("src");
    image.hidden = !url;
  };
  model.on(`change:${trait}`, show);
  show();
  return () => URL.revokeObjectURL(url);
};

// The whole studio around a part; it is there only once the part has been put into the page.
const studioOf = (el, then, stopped) => {
  const root = el.isConnected && el.closest(".fi-studio");
  if (root) then(root);
  else if (!stopped()) setTimeout(() => studioOf(el, then, stopped), 50);
};

// A file that the kernel has sent goes where the browser puts files.
const download = ({ name }, buffers) => {
  const url = URL.createObjectURL(new Blob([buffers[0]], { type: "image/png" }));
  make("a", "", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
};

// Asks the kernel for a file, and downloads it; another view of the same widget hears of that file and leaves it.
const saver = (model) => {
  let asked = false;
  model.on("msg:custom", (message, buffers) => {
    if (!message.name) return;
    if (asked) download(message, buffers);
    asked = false;
  });
  return () => {
    asked = true;
    model.send({ do: "save" });
  };
};

// Whether the studio is an output in a notebook, and not a page of its own.
const inNotebook = () => document.querySelector(".jp-NotebookPanel") !== null;
