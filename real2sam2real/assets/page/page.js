// One clock for all videos: the first one plays, the others are pulled to its time.
(() => {
  const videos = [...document.querySelectorAll("video")];
  for (const copy of document.querySelectorAll("button.copy")) {
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(copy.parentElement.querySelector("code").textContent);
      copy.textContent = "copied";
      setTimeout(() => (copy.textContent = "copy"), 1200);
    });
  }
  if (!videos.length) return;

  // The viewer: one video left of the handle, another right of it, or all side by side.
  const viewer = document.getElementById("viewer");
  const figures = [...viewer.querySelectorAll("figure")];
  const [left, right, beside] = ["left", "right", "beside"].map((id) => document.getElementById(id));
  const arrange = () => {
    const [first, second] = left ? [Number(left.value), Number(right.value)] : [0, 0];
    figures.forEach((figure, number) => {
      figure.classList.toggle("left", number === first);
      figure.classList.toggle("right", number === second);
      figure.style.zIndex = number === second ? 1 : 0;
    });
    const all = Boolean(beside && beside.checked);
    viewer.classList.toggle("beside", all);
    viewer.classList.toggle("wiping", !all && first !== second);
    if (first === second) figures[first].querySelector("video").style.clipPath = "none";
    else for (const video of videos) video.style.clipPath = "";
    viewer.style.setProperty("--height", `${figures[first].querySelector("video").clientHeight}px`);
  };
  if (left) {
    right.value = "1";
    for (const control of [left, right, beside]) control.addEventListener("change", arrange);
    viewer.style.setProperty("--wipe", "72%");
  }
  let dragged = false;
  let held = false;
  const wipe = (event) => {
    const box = viewer.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    viewer.style.setProperty("--wipe", `${100 * share}%`);
  };
  viewer.addEventListener("pointerdown", () => { held = viewer.classList.contains("wiping"); dragged = false; });
  window.addEventListener("pointermove", (event) => { if (held) { dragged = true; wipe(event); } });
  window.addEventListener("pointerup", () => { held = false; });
  window.addEventListener("resize", arrange);
  videos[0].addEventListener("loadedmetadata", arrange);
  arrange();

  const [lead, ...others] = videos;
  const player = document.querySelector(".player");
  const frames = Number(player.dataset.frames);
  const fps = Number(player.dataset.fps);
  const play = document.getElementById("play");
  const scrub = document.getElementById("scrub");
  const shown = document.getElementById("shown");
  let scrubbing = false;

  const frameOf = (time) => Math.min(frames - 1, Math.floor(time * fps + 0.01));
  const show = (frame) => {
    if (!scrubbing) scrub.value = frame;
    shown.textContent = `frame ${frame + 1} of ${frames}`;
  };
  const seek = (frame) => {
    const held = Math.min(frames - 1, Math.max(0, frame));
    for (const video of videos) video.currentTime = (held + 0.5) / fps;
    show(held);
  };
  const start = () => {
    for (const video of videos) video.play().catch(() => {});
    play.textContent = "pause";
  };
  const stop = () => {
    for (const video of videos) video.pause();
    play.textContent = "play";
  };
  const toggle = () => (lead.paused ? start() : stop());
  const tick = () => {
    if (!lead.paused) {
      for (const video of others) {
        if (Math.abs(video.currentTime - lead.currentTime) > 0.6 / fps) video.currentTime = lead.currentTime;
        if (video.paused) video.play().catch(() => {});
      }
      show(frameOf(lead.currentTime));
    }
    requestAnimationFrame(tick);
  };

  play.addEventListener("click", toggle);
  for (const video of videos) video.addEventListener("click", () => { if (!dragged) toggle(); });
  scrub.addEventListener("pointerdown", () => { scrubbing = true; stop(); });
  scrub.addEventListener("pointerup", () => { scrubbing = false; });
  scrub.addEventListener("input", () => { stop(); seek(Number(scrub.value)); });
  document.addEventListener("keydown", (event) => {
    if (event.target === scrub || ["BUTTON", "SELECT"].includes(event.target.tagName)) return;
    if (event.key === " ") { event.preventDefault(); toggle(); }
    if (event.key === "ArrowRight") { stop(); seek(frameOf(lead.currentTime) + 1); }
    if (event.key === "ArrowLeft") { stop(); seek(frameOf(lead.currentTime) - 1); }
  });
  requestAnimationFrame(tick);
  start();
})();
