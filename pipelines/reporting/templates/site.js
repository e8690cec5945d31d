// Remembers which language was chosen. Without it every link works; only the first page then always opens in Chinese.
(function () {
  "use strict";
  var key = "guiji-language";
  function stored() {
    try { return window.localStorage.getItem(key); } catch (error) { return null; }
  }
  function store(language) {
    try { window.localStorage.setItem(key, language); } catch (error) { return; }
  }
  var choice = document.querySelector("a[data-language]");
  if (!choice) { return; }
  choice.addEventListener("click", function () { store(choice.getAttribute("data-language")); });
  if (document.documentElement.hasAttribute("data-entry") && stored() === "en") {
    window.location.replace(choice.href);
  }
})();
