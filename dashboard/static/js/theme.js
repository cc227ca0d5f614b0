// Runs before the first paint, so that a page never flashes in the wrong colours.
(() => {
  let kept = null;
  try { kept = localStorage.getItem("theme"); } catch { /* storage may be forbidden */ }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = (theme) => { document.documentElement.dataset.theme = theme; };
  show(kept === "dark" || kept === "light" ? kept : dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => { if (!kept) show(dark.matches ? "dark" : "light"); });
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#theme")) return;
    kept = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", kept); } catch { /* it lasts for this page then */ }
    show(kept);
  });
})();
