// A Plotly figure that is redrawn in place: zoom and camera survive by its uirevision.

const CONFIG = {
  displaylogo: false,
  responsive: false,
  scrollZoom: false,  // the wheel scrolls the page
}

function loadScript(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script")
    script.src = new URL(url, document.baseURI).href
    script.onload = resolve
    script.onerror = () => reject(new Error(`could not load ${url}`))
    document.head.appendChild(script)
  })
}

async function fetchPlotly(scripts) {
  for (const url of scripts) { await loadScript(url) }
  return window.Plotly
}

// Plotly keeps its rules in the page's <head>, where they do not reach a shadow root.
function adoptStyles(root) {
  for (const sheet of document.querySelectorAll('style[id^="plotly.js-style"]')) {
    const copy = document.createElement("style")
    copy.textContent = [...sheet.sheet.cssRules].map((rule) => rule.cssText).join("\n")
    root.prepend(copy)
  }
}

// Key of the point that is seen at a place: of several there the one drawn last.
function topmost(data, {x, y, z, customdata}) {
  const near = (a, b) => a === b || Math.abs(a - b) < 1e-6
  for (const trace of [...data].reverse()) {
    for (let k = (trace.customdata?.length ?? 0) - 1; k >= 0; k--) {
      if (near(trace.x[k], x) && near(trace.y[k], y) && near(trace.z?.[k], z)) {
        return trace.customdata[k]
      }
    }
  }
  return customdata
}

// Buttons that change what is seen of a figure: none where all axes are fixed.
function turning(layout) {
  if (layout.scene) { return ["resetCameraDefault3d"] }
  const axes = Object.keys(layout).filter((part) => /^[xy]axis/.test(part))
  const fixed = axes.length > 0 && axes.every((axis) => layout[axis].fixedrange)
  return fixed ? [] : ["zoomIn2d", "zoomOut2d", "resetScale2d"]
}

const BESIDE = 140  // pixels beside a figure in three dimensions: the colour scale, and outer labels
const ABOVE = 60    // pixels above it: the key

// Plotly fits such a figure to the height: where that is much more than the width, names at the sides
// are cut off. So the camera stands further back there; `reach` is the width to be seen per height.
function stepBack(layout, width, height) {
  const reach = layout.meta?.reach
  if (!reach) { return }
  const {eye, center} = layout.scene.camera
  const far = Math.max(1, reach * (height - ABOVE) / Math.max(width - BESIDE, 60))
  for (const axis of ["x", "y", "z"]) { eye[axis] = center[axis] + far * (eye[axis] - center[axis]) }
}

// Keeps the ranges and the camera that a person has turned to, by part of the layout. Plotly does so
// itself, but forgets where it has changed what it was given: ranges of one scale, and cameras.
function keepView(plot, view) {
  plot.on("plotly_relayout", (change) => {
    for (const axis of ["xaxis", "yaxis"]) {
      const [low, high] = change[`${axis}.range`] ??
        [change[`${axis}.range[0]`], change[`${axis}.range[1]`]]
      if (low !== undefined) { view[axis] = {range: [low, high], autorange: false} }
      if (change[`${axis}.autorange`]) { delete view[axis] }
    }
    const camera = change["scene.camera"]
    if (camera) { view.scene = {camera} }
  })
}

// The button that saves a figure, in a file of the figure's own name.
function saver(Plotly, model) {
  return {
    name: "toImage",
    title: "Download plot as a PNG",
    icon: Plotly.Icons.camera,
    click: (plot) => Plotly.downloadImage(plot, {format: "png", scale: 2, filename: model.label}),
  }
}

// Figures stand side by side: a button says which of them it is for where it is read aloud.
function nameButtons(plot, label) {
  for (const button of plot.querySelectorAll(".modebar-btn[data-title]")) {
    button.setAttribute("aria-label", `${button.dataset.title}: ${label}`)
  }
}

export function render({model}) {
  const box = document.createElement("div")
  box.className = "plot"
  const plot = document.createElement("div")
  plot.style.cssText = "width: 100%; height: 100%"
  box.append(plot)
  box.setAttribute("role", "figure")
  box.setAttribute("aria-label", model.label)
  model.on("label", () => {
    box.setAttribute("aria-label", model.label)
    nameButtons(plot, model.label)
  })
  let Plotly = null
  let save = null
  let clicks = 0
  let revision = null   // of the figure that the view belongs to
  const view = {}

  const drawOnce = async () => {
    if (!box.isConnected) { return }
    if (!model.drawing) {
      if (Plotly !== null) { Plotly.purge(plot) }
      return
    }
    if (Plotly === null) {
      window.hullscapePlotly ??= fetchPlotly(model.scripts)
      Plotly = await window.hullscapePlotly
      adoptStyles(box)
      save = saver(Plotly, model)
    }
    const {width, height} = box.getBoundingClientRect()
    if (width < 20 || height < 20) { return }
    const fresh = !plot.classList.contains("js-plotly-plot")
    const {data, layout} = JSON.parse(model.drawing)
    const buttons = [[save, ...turning(layout)]]
    if (layout.uirevision !== revision) {
      revision = layout.uirevision
      for (const part of Object.keys(view)) { delete view[part] }
    }
    stepBack(layout, width, height)
    for (const [part, kept] of Object.entries(view)) { layout[part] = {...layout[part], ...kept} }
    await Plotly.react(plot, data, {...layout, width, height}, {...CONFIG, modeBarButtons: buttons})
    nameButtons(plot, model.label)
    if (fresh) {
      keepView(plot, view)
      plot.on("plotly_click", (event) => {
        const point = event.points.find((candidate) => candidate.customdata)
        if (point) { model.clicked = [topmost(plot.data, point), ++clicks] }
      })
    }
  }

  // One drawing at a time; what changed meanwhile is drawn once, afterwards.
  let drawing = false
  let stale = false
  const draw = async () => {
    stale = true
    if (drawing) { return }
    drawing = true
    while (stale) {
      stale = false
      await drawOnce()
    }
    drawing = false
  }

  const observer = new ResizeObserver(() => draw())
  observer.observe(box)
  model.on("drawing", draw)
  model.on("remove", () => {
    observer.disconnect()
    if (Plotly !== null) { Plotly.purge(plot) }
  })
  return box
}
