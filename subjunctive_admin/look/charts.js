// Unpacks plotly once, fills the colours of every figure and draws it again when the theme changes.
(async () => {
  const nonce = document.currentScript.nonce;
  const plots = [...document.querySelectorAll(".sj-plot")];
  const say = (text) => plots.forEach((plot) => {
    const place = plot.querySelector(".sj-missing");
    if (place) place.textContent = text;
  });
  const unpacked = async () => {
    const packed = Uint8Array.from(atob(document.getElementById("sj-plotly").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  if (!("DecompressionStream" in window)) {
    say("This browser cannot unpack the charts: it lacks DecompressionStream. Their figures are in the tables.");
    return;
  }
  try {
    const script = document.createElement("script");
    script.nonce = nonce;
    script.textContent = await unpacked();
    document.head.append(script);
  } catch (error) {
    say("The charts could not be unpacked. Their figures are in the tables.");
    throw error;
  }

  const probe = document.body.appendChild(document.createElement("span"));
  probe.hidden = true;
  const colour = (name, alpha) => {
    probe.style.color = name;
    const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g);
    return alpha ? `rgba(${red},${green},${blue},${alpha})` : `rgb(${red},${green},${blue})`;
  };
  const filled = (value) => {
    if (typeof value === "string")
      return value.replace(/(var\(--[a-z0-9-]+\))(?: ([\d.]+))?/g, (_, name, alpha) => colour(name, alpha));
    if (Array.isArray(value)) return value.map(filled);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner)]));
    return value;
  };
  // On paper a figure is as wide as a page of A4 between its margins, whatever the window was.
  const drawOne = async (plot, width) => {
    const figure = filled(JSON.parse(plot.parentElement.querySelector("script[type='application/json']").textContent));
    plot.querySelector(".sj-missing")?.remove();
    if (width) figure.layout.width = width;
    try {
      await Plotly.react(plot, figure.data, figure.layout, figure.config);
    } catch (error) {
      plot.innerHTML = '<p class="sj-missing">This chart could not be drawn. Its figures are in the table.</p>';
      console.error(error);
    }
  };
  const draw = (width) => plots.forEach((plot) => drawOne(plot, width));
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  const themed = new MutationObserver(() => draw());
  const watch = () => themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  watch();
  const opened = [];
  addEventListener("beforeprint", () => {
    themed.disconnect();
    document.querySelectorAll("details:not([open])").forEach((one) => opened.push(one) && (one.open = true));
    document.documentElement.dataset.themeBefore = document.documentElement.dataset.theme || "";
    document.documentElement.dataset.theme = "light";
    draw(640);
  });
  addEventListener("afterprint", () => {
    opened.splice(0).forEach((one) => (one.open = false));
    const before = document.documentElement.dataset.themeBefore;
    if (before) document.documentElement.dataset.theme = before;
    else delete document.documentElement.dataset.theme;
    draw();
    watch();
  });
})();
