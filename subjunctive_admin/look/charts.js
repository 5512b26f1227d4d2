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
    if (typeof value === "string") {
      const found = /^(var\(--[a-z0-9-]+\))(?: ([\d.]+))?$/.exec(value);
      return found ? colour(found[1], found[2]) : value;
    }
    if (Array.isArray(value)) return value.map(filled);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner)]));
    return value;
  };
  const drawOne = async (plot) => {
    const figure = filled(JSON.parse(plot.parentElement.querySelector("script[type='application/json']").textContent));
    plot.querySelector(".sj-missing")?.remove();
    try {
      await Plotly.react(plot, figure.data, figure.layout, figure.config);
    } catch (error) {
      plot.innerHTML = '<p class="sj-missing">This chart could not be drawn. Its figures are in the table.</p>';
      console.error(error);
    }
  };
  const draw = () => plots.forEach(drawOne);
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  const opened = [];
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not([open])").forEach((one) => opened.push(one) && (one.open = true));
    document.documentElement.dataset.themeBefore = document.documentElement.dataset.theme || "";
    document.documentElement.dataset.theme = "light";
    draw();
  });
  addEventListener("afterprint", () => {
    opened.splice(0).forEach((one) => (one.open = false));
    const before = document.documentElement.dataset.themeBefore;
    if (before) document.documentElement.dataset.theme = before;
    else delete document.documentElement.dataset.theme;
  });
})();
