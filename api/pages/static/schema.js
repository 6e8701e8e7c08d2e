"use strict";

// Swagger UI has its dark colours under a class; the reader's own choice decides.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const colour = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", colour);
colour();

const place = document.getElementById("api");

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.description,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  presets: [SwaggerUIBundle.presets.apis],
  // No address but this registry's is asked.
  queryConfigEnabled: false,
  validatorUrl: null,
});
