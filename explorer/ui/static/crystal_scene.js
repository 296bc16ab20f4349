// Crystal Toolkit's own scene inside a Panel component.
// React and the toolkit are page-wide globals: they are fetched once, in order.

function loadScript(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script")
    script.src = new URL(url, document.baseURI).href
    script.onload = resolve
    script.onerror = () => reject(new Error(`could not load ${url}`))
    document.head.appendChild(script)
  })
}

async function fetchToolkit(scripts) {
  const before = new Set(document.head.querySelectorAll("style"))
  for (const url of scripts) { await loadScript(url) }
  // The bundle puts its sheet into <head>, where it cannot reach this shadow root but
  // does restyle the rest of the page: take it out and keep its text.
  const added = [...document.head.querySelectorAll('style[type="text/css"]')]
  const sheets = added.filter((sheet) => !before.has(sheet))
  sheets.forEach((sheet) => sheet.remove())
  const {React, ReactDOM, dash_mp_components} = window
  const css = sheets.map((sheet) => sheet.textContent).join("\n")
  return {React, ReactDOM, Scene: dash_mp_components.CrystalToolkitScene, css}
}

function toolkit(scripts) {
  window.hullscapeToolkit ??= fetchToolkit(scripts)
  return window.hullscapeToolkit
}

// Without WebGL, as on many remote desktops, the toolkit would leave an empty box.
const FLAT = "This browser draws nothing in three dimensions: it has no WebGL. Allow it hardware acceleration, "
  + "or use another browser. What is flat works, and so does the download."

function drawsInThreeDimensions() {
  window.hullscapeWebGL ??= (() => {
    const context = document.createElement("canvas").getContext("webgl2")
      ?? document.createElement("canvas").getContext("webgl")
    // Browsers allow few of them at a time.
    context?.getExtension("WEBGL_lose_context")?.loseContext()
    return context !== null
  })()
  return window.hullscapeWebGL
}

// Black cell edges vanish on a dark page.
function recolourLines(node, colour) {
  if (Array.isArray(node)) { return node.map((child) => recolourLines(child, colour)) }
  if (node === null || typeof node !== "object") { return node }
  const contents = node.contents ? recolourLines(node.contents, colour) : node.contents
  const lines = node.type === "lines" ? {color: colour, linewidth: 1.5} : {}
  return {...node, contents, ...lines}
}

function squareSide(box) {
  return Math.max(120, Math.floor(Math.min(box.clientWidth, box.clientHeight)))
}

// Looking at the c axis upwards, slightly from above and from the side.
function tilted() {
  const [x, y] = [-0.3, 0.42]
  const [cx, sx, cy, sy] = [Math.cos(x / 2), Math.sin(x / 2), Math.cos(y / 2), Math.sin(y / 2)]
  const quaternion = {x: sx * cy, y: cx * sy, z: -sx * sy, w: cx * cy}
  const position = {x: 30 * Math.sin(y) * Math.cos(x), y: -30 * Math.sin(x), z: 30 * Math.cos(y) * Math.cos(x)}
  return {position, quaternion, zoom: 3.6}
}

export function render({model}) {
  const box = document.createElement("div")
  box.className = "scene-box"
  const stage = document.createElement("div")
  stage.className = "scene-stage"
  const note = document.createElement("div")
  note.className = "scene-note"
  note.setAttribute("role", "status")
  box.append(stage, note)
  box.setAttribute("role", "figure")
  box.setAttribute("aria-label", model.label)
  model.on("label", () => box.setAttribute("aria-label", model.label))
  let root = null
  let gone = false
  let drawn = {}       // the scene handed over last, and what it was made of
  let camera = null    // where the person turned the crystal to

  const say = (words) => {
    note.textContent = words
    note.hidden = words === ""
    stage.style.visibility = words === "" ? "visible" : "hidden"
  }

  const prepare = () => {
    const {scene, dark, subject} = model
    if (drawn.source === scene && drawn.dark === dark) { return }
    // The view is kept while the same crystal is shown at another stage or in another theme.
    const kept = drawn.subject === subject && camera !== null ? camera : tilted()
    const data = recolourLines(scene, dark ? "#c9d1d9" : "#3b4148")
    drawn = {source: scene, dark, subject, data, view: {...kept}}
  }

  const draw = async () => {
    if (!model.scene || !model.scene.contents) { return say(model.placeholder) }
    if (!drawsInThreeDimensions()) { return say(FLAT) }
    let kit
    try {
      kit = await toolkit(model.scripts)
    } catch (error) {
      return say(`The 3-D viewer did not start: ${error.message}. Reload the page.`)
    }
    if (gone || !box.isConnected || !model.scene || !model.scene.contents) { return }
    say("")
    if (root === null) {
      const sheet = document.createElement("style")
      sheet.textContent = kit.css
      box.prepend(sheet)
      root = kit.ReactDOM.createRoot(stage)
    }
    prepare()
    root.render(kit.React.createElement(kit.Scene, {
      data: drawn.data,
      // The scene draws nothing for new data alone; a camera or a visibility makes it draw.
      customCameraState: drawn.view,
      toggleVisibility: {polyhedra: 0, magmoms: 0},
      sceneSize: squareSide(box),
      settings: {transparentBackground: true, staticScene: true, defaultZoom: 1.15},
      axisView: "HIDDEN",
      showControls: false,
      setProps: ({currentCameraState}) => { camera = currentCameraState ?? camera },
    }))
  }

  const observer = new ResizeObserver(() => draw())
  observer.observe(box)
  for (const name of ["scene", "dark", "placeholder"]) { model.on(name, draw) }
  model.on("remove", () => {
    gone = true
    observer.disconnect()
    // The toolkit looks at its size once more as the page lets go of it, and must still be there.
    if (root !== null) { setTimeout(() => root.unmount(), 1000) }
  })
  return box
}
