// SECTIONS, [address, chapter, heading, text] each, stands in front of this: `faceinpaint course` writes it.
"use strict";
{
  const box = document.querySelector("nav.course input");
  const list = document.querySelector("nav.course .found");
  const MOST = 12;

  // How well a section answers: 0 unless it has every word, more for words of its headings.
  const score = ([, chapter, heading, text], words) => {
    let sum = 0;
    for (const word of words) {
      const [inHeading, inChapter, at] = [heading, chapter, text].map((part) => part.toLowerCase().indexOf(word));
      if (Math.max(inHeading, inChapter, at) < 0) return 0;
      sum += (inHeading >= 0) * 10 + (inChapter >= 0) * 4 + (at >= 0) * (1 + text.toLowerCase().split(word).length / 10);
    }
    return sum;
  };

  const around = (text, word) => {
    const start = Math.max(0, text.toLowerCase().indexOf(word) - 50);
    return (start ? "…" : "") + text.slice(start, start + 150) + "…";
  };

  const element = (name, text, ...children) => {
    const made = document.createElement(name);
    made.append(text, ...children);
    return made;
  };

  const show = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length ? SECTIONS.map((one) => [score(one, words), one]).filter(([sum]) => sum) : [];
    found.sort(([a], [b]) => b - a);
    list.replaceChildren(...found.slice(0, MOST).map(([, [address, chapter, heading, text]]) => {
      const link = element("a", element("b", [chapter.split(":")[0], heading].filter(Boolean).join(" › ")),
        around(text, words[0]));
      link.href = address;
      link.addEventListener("click", close);
      return element("li", link);
    }));
    if (words.length && !found.length) list.replaceChildren(element("li", element("p", "Nothing has all these words.")));
  };

  const close = () => { box.value = ""; list.replaceChildren(); };

  box.addEventListener("input", show);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") list.querySelector("a")?.click();
    if (event.key === "Escape") close();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, textarea, [contenteditable]")) return;
    event.preventDefault();
    box.focus();
  });
}
