// The table draws its rows anew when one of them changes, and their buttons with them. Who presses a
// button by key finds the focus on the new one of the same row, not at the start of the page.

const ROW = ".tabulator-row"
const numberOf = (row) => row?.querySelector("[tabulator-field=number]")?.textContent

// Panel hands a table all of its rows anew, even where one dot moves, and Tabulator then goes back to
// the first row; whoever looked at the hundredth would lose it. What replaces rows keeps the place.
function keepPlace() {
  const {prototype} = window.Tabulator ?? {}
  if (prototype && prototype.setData !== prototype.replaceData) {
    prototype.setData = prototype.replaceData
  }
}

// Tabulator calls every tick box alike.
function nameTicks(table) {
  for (const row of table.querySelectorAll(ROW)) {
    const box = row.querySelector("input[type=checkbox]")
    const formula = row.querySelector("[tabulator-field=formula]")?.textContent ?? ""
    box?.setAttribute("aria-label", `Tick ${formula.trim()} ${numberOf(row)}`)
  }
  table.querySelector(".tabulator-header input[type=checkbox]")
    ?.setAttribute("aria-label", "Tick all rows")
}

// Panel asks without a rest whether the table's style sheets have come, and misses those that its
// theme replaced on their way: that would keep a core of the browser busy for as long as it is open.
function noteStyles(table) {
  const view = [...window.Bokeh.index.all_views()].find((each) => each.shadow_el === table)
  const note = (link) => view?._initialized_stylesheets?.set(link.href, true)
  table.addEventListener("load", ({target}) => { if (target.tagName === "LINK") { note(target) } }, true)
  for (const link of table.querySelectorAll("link")) { if (link.sheet) { note(link) } }
}

export function render({model}) {
  keepPlace()
  const here = document.createElement("span")
  let drawn = null   // watches the table from a key press on a button to the next key or click

  const leave = () => { drawn?.disconnect(); drawn = null }

  const press = (event) => {
    leave()
    let [button] = event.composedPath()
    const cell = button.closest?.(".tabulator-cell")
    if (!cell || button.tagName !== "BUTTON" || !["Enter", " "].includes(event.key)) { return }
    const table = cell.closest(".tabulator-table")
    const number = numberOf(cell.closest(ROW))
    const place = `[tabulator-field=${cell.getAttribute("tabulator-field")}] button`
    drawn = new MutationObserver(() => {
      if (button.isConnected) { return }
      const row = [...table.querySelectorAll(ROW)].find((each) => numberOf(each) === number)
      button = row?.querySelector(place) ?? button
      button.focus()
    })
    drawn.observe(table, {childList: true, subtree: true})
  }

  const listeners = {keydown: press, pointerdown: leave}
  for (const [kind, listener] of Object.entries(listeners)) {
    document.addEventListener(kind, listener, true)
  }
  model.on("remove", () => {
    leave()
    for (const [kind, listener] of Object.entries(listeners)) {
      document.removeEventListener(kind, listener, true)
    }
  })
  model.on("after_render", () => {
    const card = here.getRootNode().host?.getRootNode()
    const table = card?.querySelector(".bk-panel-models-tabulator-DataTabulator")?.shadowRoot
    if (!table) { return }
    const named = new MutationObserver(() => nameTicks(table))
    named.observe(table, {childList: true, subtree: true})
    nameTicks(table)
    noteStyles(table)
  })
  return here
}
