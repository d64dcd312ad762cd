// Theme before first paint, and the two preferences that need no server. No page state lives here.
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => (document.cookie.match(/(?:^|; )enpilot_theme=(auto|light|dark)/) || [])[1] || "auto";
  const apply = () => {
    const choice = chosen();
    root.dataset.themeChoice = choice;
    root.dataset.theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
  };
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
    // A menu closes on a click elsewhere.
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    if (!event.target.closest("[data-theme-toggle]")) return;
    const now = root.dataset.theme;
    const system = dark.matches ? "dark" : "light";
    // One press always changes what is seen; the system's own choice is kept as "auto".
    const next = now === "dark" ? "light" : "dark";
    document.cookie = `enpilot_theme=${next === system ? "auto" : next}; path=/; max-age=31536000; samesite=lax`;
    apply();
  });
})();
