// Small help for the pages, all of which work without it: words of the glossary open on hover and focus too, texts of letters are copied by one press.
const WAIT = 150; // ms between leaving a word and closing it, so that the pointer can reach what it opened

for (const term of document.querySelectorAll(".term")) {
  const [button, tip] = term.children;
  if (typeof tip.showPopover !== "function") continue;
  button.removeAttribute("title"); // said by the popover
  let timer = 0;
  const place = () => {
    const box = button.getBoundingClientRect(), width = Math.min(352, innerWidth - 32);
    tip.style.width = `${width}px`;
    tip.style.left = `${Math.max(16, Math.min(box.left, innerWidth - width - 16))}px`;
    const below = box.bottom + 6, height = tip.offsetHeight;
    tip.style.top = `${below + height > innerHeight && box.top - height - 6 > 0 ? box.top - height - 6 : below}px`;
    tip.style.bottom = "auto";
  };
  tip.addEventListener("toggle", (event) => event.newState === "open" && place());
  const show = () => {
    clearTimeout(timer);
    if (!tip.matches(":popover-open")) tip.showPopover();
  };
  const hide = () => {
    timer = setTimeout(() => tip.matches(":popover-open") && tip.hidePopover(), WAIT);
  };
  for (const part of [button, tip]) {
    part.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show());
    part.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && !term.contains(document.activeElement) && hide());
  }
  term.addEventListener("focusin", (event) => event.target === button && button.matches(":focus-visible") && show());
  term.addEventListener("focusout", (event) => term.contains(event.relatedTarget) || hide());
}
addEventListener("scroll", () => document.querySelector(".tip:popover-open")?.hidePopover(), { passive: true });

// A letter is copied by selecting it: the clipboard API does not exist on plain http.
for (const box of document.querySelectorAll(".letter-box")) {
  const button = box.querySelector("button"), text = box.querySelector("textarea"), said = box.querySelector("[role=status]");
  button.hidden = false;
  button.addEventListener("click", () => {
    text.select();
    said.textContent = document.execCommand("copy") ? button.dataset.done : button.dataset.failed;
  });
}
