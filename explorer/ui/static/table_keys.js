// The table draws its rows anew when some of them change, and their buttons with them. Who is at a
// button by key finds the focus on the new one of the same row, not at the start of the page.
// And a row that somebody clicks or ticks is told by its candidate's number: a click that is known
// by the place of its row would hit another candidate wherever rows came or went on its way.

const ROW = ".tabulator-row"
const CELL = ".tabulator-cell"
const BOX = "input[type=checkbox]"
const PATIENCE = 2000  // milliseconds; a row that comes later is one that nobody waits for
const numberOf = (row) => row?.querySelector("[tabulator-field=number]")?.textContent
const placeOf = (target) => {
  const cell = target.closest(CELL)
  return cell && {number: numberOf(cell.closest(ROW)), field: cell.getAttribute("tabulator-field")}
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
    const box = row.querySelector(BOX)
    const formula = row.querySelector("[tabulator-field=formula]")?.textContent ?? ""
    box?.setAttribute("aria-label", `Tick ${formula.trim()} ${numberOf(row)}`)
  }
  table.querySelector(`.tabulator-header ${BOX}`)?.setAttribute("aria-label", "Tick all rows")
}

// A row may be drawn anew between down and up, as rows of a running campaign are every second, and the
// browser then sees no click. Where none follows at once, it is made up for.
function keepClicks(table) {
  let pressed = null
  let due = 0
  table.addEventListener("mousedown", ({target, button}) => {
    pressed = button === 0 ? placeOf(target) : null
  })
  table.addEventListener("mouseup", ({target}) => {
    const place = placeOf(target)
    const same = pressed && pressed.number === place?.number && pressed.field === place.field
    if (same) { due = setTimeout(() => target.click()) }
    pressed = null
  })
  table.addEventListener("click", () => clearTimeout(due), true)
}

// A click beside a tick box, in its cell, ticks it, too.
function tellClicks(table, tell) {
  const told = ({target}) => {
    const place = placeOf(target)
    if (!place?.number) { return }
    const box = target.closest(CELL).querySelector(BOX)
    if (box) { tell({kind: "tick", numbers: [place.number], on: box.checked}) }
    else { tell({kind: "click", ...place}) }
  }
  table.addEventListener("change", ({target}) => target.matches(BOX) && told({target}))
  table.addEventListener("click", told)
}

// Tabulator's own box at the top ticks rows that a filter hides, too, and where one is ticked it
// unticks them all.
function tickAll(table, view, tell) {
  table.addEventListener("change", (event) => {
    if (!event.target.matches(`.tabulator-header ${BOX}`)) { return }
    event.stopPropagation()
    const {tabulator} = view
    const rows = tabulator.getRows("active")
    const on = !rows.every((row) => row.isSelected())
    if (on) { tabulator.selectRow(rows) } else { tabulator.deselectRow(rows) }
    tell({kind: "all", numbers: rows.map((row) => row.getData().number), on})
  }, true)
}

// Brings the row of a number into sight, once the table has it.
class Sought {
  constructor() { this.number = this.view = null }

  seek(number) {
    this.number = number
    clearTimeout(this.due)
    this.due = setTimeout(() => { this.number = null }, PATIENCE)
    this.find()
  }

  find() {
    const tabulator = this.view?.tabulator
    if (!this.number || !tabulator) { return }
    const row = tabulator.getRows("active").find((each) => each.getData().number === this.number)
    if (!row) { return }
    this.number = null
    const scroll = () => tabulator.scrollToRow(row, "center", false).catch(() => {})  // or is in sight
    // Panel goes back to where the table was scrolled, in the frame after its rows changed.
    requestAnimationFrame(() => requestAnimationFrame(scroll))
  }
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

// Panel asks without a rest whether the table's style sheets have come, and misses those that its
// theme replaced on their way: that would keep a core of the browser busy for as long as it is open.
function noteStyles(table, view) {
  const note = (link) => view._initialized_stylesheets.set(link.href, true)
  table.addEventListener("load", ({target}) => { if (target.tagName === "LINK") { note(target) } }, true)
  for (const link of table.querySelectorAll("link")) { if (link.sheet) { note(link) } }
}

export function render({model}) {
  keepPlace()
  const here = document.createElement("span")
  const sought = new Sought()
  model.on("msg:custom", ({number}) => sought.seek(number))
  let held = null
  const leave = () => held?.leave()
  document.addEventListener("pointerdown", leave, true)
  model.on("remove", () => document.removeEventListener("pointerdown", leave, true))
  model.on("after_render", () => {
    const card = here.getRootNode().host?.getRootNode()
    const table = card?.querySelector(".bk-panel-models-tabulator-DataTabulator")?.shadowRoot
    if (!table || table === held?.table) { return }
    const view = [...window.Bokeh.index.all_views()].find((each) => each.shadow_el === table)
    sought.view = view
    const mine = held = new Held(table)
    const tell = (said) => model.send_msg(said)
    keepClicks(table)
    tellClicks(table, tell)
    tickAll(table, view, tell)
    noteStyles(table, view)
    const look = () => {
      nameTicks(table)
      mine.find()
      sought.find()
      model.drawn ||= table.querySelector(".tabulator-table") !== null
    }
    new MutationObserver(look).observe(table, {childList: true, subtree: true})
    look()
  })
  return here
}
