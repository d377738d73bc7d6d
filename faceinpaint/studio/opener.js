// Opens photos: from a file, dropped on the studio, pasted, or taken by the camera.

const SMALL_ENOUGH = 6e6; // bytes; a notebook server takes no message above 10 MB
const SIDE = 2048; // pixels, to which the kernel would scale it anyway

const render = ({ model, el }) => {
  const aim = model.get("aim");
  let gone = false, camera = null;
  el.classList.add("fi-opener");
  const file = make("input", "fi-file", { type: "file", accept: "image/*", tabindex: "-1", "aria-hidden": "true" }, el);
  file.hidden = true;
  button(el, "fi-open", model.get("label"), model.get("title"), () => file.click());
  const say = (words) => model.send({ do: "say", words });

  const shrunk = async (blob) => {
    const picture = await createImageBitmap(blob);
    const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
    const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const words = `scaled down from ${picture.width} × ${picture.height} pixels before it was sent`;
    return [await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 }), words];
  };
  const send = async (blob) => {
    let note = "";
    if (blob.size > SMALL_ENOUGH) {
      try {
        [blob, note] = await shrunk(blob);
      } catch {
        say("the file is larger than 6 MB and no image that the browser can read: save it as JPEG or PNG");
        return;
      }
    }
    model.send({ do: "open", note }, undefined, [await blob.arrayBuffer()]);
  };
  file.addEventListener("change", () => {
    if (file.files.length) send(file.files[0]);
    file.value = ""; // or the same file could not be opened again
  });
  // Dropped or pasted on a place: what is inside of another such place goes there alone.
  const image = (list) => [...(list ?? [])].find((one) => one.kind === "file" || one instanceof File);
  const over = (event) => {
    event.preventDefault();
    event.stopPropagation();
    event.currentTarget.classList.add("fi-dropping");
  };
  const leave = (event) => event.currentTarget.classList.remove("fi-dropping");
  const drop = (event) => {
    event.preventDefault();
    event.stopPropagation(); // a notebook would take it for a cell
    leave(event);
    const found = image(event.dataTransfer.files);
    if (found) send(found);
    else say("what was dropped is no file: drop a photo from a folder");
  };
  const events = { dragover: over, dragleave: leave, drop };
  if (aim === "reference") {
    const pasted = (event) => {
      const found = image(event.clipboardData?.items);
      if (!found) return;
      event.stopPropagation();
      send(found.getAsFile());
    };
    for (const [name, handler] of Object.entries({ ...events, paste: pasted })) el.addEventListener(name, handler);
    return referenceIn(el, model);
  }
  if (aim === "mask") {
    button(el, "fi-save-mask", "Save", "Save the mask of the face as PNG", () => model.send({ do: "save" }));
    const title = "Save the mask of the whole photo as PNG, for `faceinpaint complete`";
    button(el, "fi-save-photo-mask", "Save for photo", title, () => model.send({ do: "save", whole: true }));
    model.on("msg:custom", (message, buffers) => download(message, buffers));
    return;
  }

  const stop = () => {
    camera?.getTracks().forEach((track) => track.stop());
    camera = null;
    box.hidden = true;
  };
  const look = async () => {
    if (!navigator.mediaDevices?.getUserMedia) {
      say("this browser lends its camera only to pages on this machine or over https: open a photo instead");
      return;
    }
    try {
      camera = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 } });
      video.srcObject = camera;
      box.hidden = false;
      await video.play();
    } catch {
      say("the camera can't be used: allow it in the browser, or open a photo instead");
    }
  };
  const shoot = async () => {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    stop();
    send(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 }));
  };
  button(el, "fi-webcam", "Camera", "Take a photo with the camera", look);
  button(el, "fi-new-person", "New person", "Render somebody who does not exist", () => model.send({ do: "new" }));
  const title = "Turn the photo, or the last one in which no face was found, to the left and look for faces again";
  const turn = button(el, "fi-turn", "Turn", title, () => model.send({ do: "turn" }));
  const showTurn = () => { turn.disabled = !model.get("turnable"); };
  model.on("change:turnable", showTurn);
  showTurn();
  const box = make("div", "fi-camera", { role: "group", "aria-label": "Camera" }, el);
  box.hidden = true;
  const video = make("video", "fi-video", { playsinline: "" }, box);
  video.muted = true;
  button(box, "fi-shoot fi-primary", "Take it", "Take the picture", shoot);
  button(box, "fi-stop", "Close", "Close the camera", stop);

  // The photo's place is the whole studio.
  let root = null;
  const paste = (event) => {
    if (!root?.contains(document.activeElement) && document.activeElement !== document.body) return;
    const found = image(event.clipboardData?.items);
    if (found) send(found.getAsFile());
  };
  studioOf(el, (found) => {
    root = found;
    for (const [name, handler] of Object.entries(events)) root.addEventListener(name, handler);
    document.addEventListener("paste", paste);
  }, () => gone);
  return () => {
    gone = true;
    stop();
    document.removeEventListener("paste", paste);
    for (const [name, handler] of Object.entries(events)) root?.removeEventListener(name, handler);
  };
};

export default { render };
