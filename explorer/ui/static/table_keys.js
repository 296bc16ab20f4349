// The table draws its rows anew when some of them change, and their buttons with them. Who is at a
// button by key finds the focus on the new one of the same row, not at the start of the page.

const ROW = ".tabulator-row"
const CELL = ".tabulator-cell"
const numberOf = (row) => row?.querySelector("[tabulator-field=number]")?.textContent
const placeOf = (target) => {
  const cell = target.closest(CELL)
  return cell && {target, number: numberOf(cell.closest(ROW)), field: cell.getAttribute("tabulator-field")}
}

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

// A click is one only where down and up meet the same element: a row that is drawn anew in between, as
// rows of a running campaign are every second, would swallow it.
function keepClicks(table) {
  let pressed = null
  table.addEventListener("pointerdown", ({target}) => { pressed = placeOf(target) })
  table.addEventListener("pointerup", ({target}) => {
    const place = placeOf(target)
    const same = pressed?.number === place?.number && pressed?.field === place?.field
    if (pressed && same && !pressed.target.isConnected) { target.click() }
    pressed = null
  })
}

// The button of a row that has the keyboard's focus, found again where its row was drawn anew.
class Held {
  constructor(table) {
    this.table = table
    this.button = null
    // A removed button leaves the focus to nobody; who goes elsewhere takes it along.
    table.addEventListener("focusin", ({target}) => this.take(target))
    table.addEventListener("focusout", ({relatedTarget}) => relatedTarget && this.take(relatedTarget))
  }

  take(button) {
    const place = placeOf(button)
    this.button = place && button.tagName === "BUTTON" ? button : null
    this.number = place?.number
    this.place = `[tabulator-field=${place?.field}] button`
  }

  leave() { this.button = null }

  find() {
    if (!this.button || this.button.isConnected) { return }
    if (document.activeElement !== document.body) { return this.leave() }
    const row = [...this.table.querySelectorAll(ROW)].find((each) => numberOf(each) === this.number)
    row?.querySelector(this.place)?.focus({preventScroll: true})
  }
}

export function render({model}) {
  keepPlace()
  const here = document.createElement("span")
  let held = null
  const leave = () => held?.leave()
  document.addEventListener("pointerdown", leave, true)
  model.on("remove", () => document.removeEventListener("pointerdown", leave, true))
  model.on("after_render", () => {
    const card = here.getRootNode().host?.getRootNode()
    const table = card?.querySelector(".bk-panel-models-tabulator-DataTabulator")?.shadowRoot
    if (!table || table === held?.table) { return }
    const mine = held = new Held(table)
    keepClicks(table)
    const drawn = new MutationObserver(() => { nameTicks(table); mine.find() })
    drawn.observe(table, {childList: true, subtree: true})
    nameTicks(table)
  })
  return here
}
