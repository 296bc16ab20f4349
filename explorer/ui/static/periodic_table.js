// A periodic table that says of each element whether it must, may or must not appear. A click,
// Enter or Space goes from one state to the next, beginning with the one picked in the legend;
// 1, 2 and 3 set a state, 0 and Delete take it back. One cell is in the tab order; arrow keys
// move, letters jump to a symbol or a name.

const STATES = ["must", "may", "never"]
const WORDS = {must: "must appear", may: "may appear", never: "never"}
const HELP = {
  must: "Every crystal has these elements",
  may: "Crystals may have these elements, or do without",
  never: "No crystal has these elements; it matters where others may join",
}
const MOST_CHIPS = 12
const ARROWS = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}

function make(tag, className, text) {
  const node = document.createElement(tag)
  node.className = className
  if (text !== undefined) { node.textContent = text }
  return node
}

function cellOf(element) {
  const button = make("button", `cell ${element.category}`, element.symbol)
  button.type = "button"
  button.tabIndex = -1
  button.dataset.symbol = element.symbol
  button.style.gridRow = element.row
  button.style.gridColumn = element.column
  return button
}

// The nearest cell in a direction, over the gaps of the table.
function neighbour(element, [down, right], elements) {
  const ahead = elements.filter((other) => {
    const rows = other.row - element.row
    const columns = other.column - element.column
    return down ? rows * down > 0 && columns === 0 : columns * right > 0 && rows === 0
  })
  const distance = (other) => Math.abs(other.row - element.row) + Math.abs(other.column - element.column)
  return ahead.sort((a, b) => distance(a) - distance(b))[0]
}

// Buttons that show what each state looks like, and pick the one that a first click gives.
function legendOf(pick) {
  const row = make("div", "legend")
  row.setAttribute("role", "radiogroup")
  row.setAttribute("aria-label", "What a first click on an element asks for")
  const buttons = Object.fromEntries(STATES.map((state, place) => {
    const button = make("button", "pen")
    button.type = "button"
    button.title = `${HELP[state]} (key ${place + 1})`
    button.setAttribute("role", "radio")
    button.append(make("i", `swatch ${state}`), make("span", "", WORDS[state]))
    button.addEventListener("click", () => pick(state))
    button.addEventListener("keydown", (event) => {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key]
      if (step) {
        event.preventDefault()
        const next = STATES[(place + step + STATES.length) % STATES.length]
        pick(next)
        buttons[next].focus()
      }
    })
    row.append(button)
    return [state, button]
  }))
  return [row, buttons]
}

// Whether elements without a state may join, and a way back to none.
function footOf(toggle, forget) {
  const foot = make("div", "foot")
  const label = make("label", "others")
  const box = make("input")
  box.type = "checkbox"
  box.addEventListener("change", () => toggle(box.checked))
  label.append(box, make("span", "", "Other elements may join"))
  const clear = make("button", "clear", "Clear")
  clear.type = "button"
  clear.addEventListener("click", forget)
  foot.append(label, clear)
  return [foot, box, clear]
}

export function render({model}) {
  const elements = model.cells
  const bySymbol = Object.fromEntries(elements.map((element) => [element.symbol, element]))
  const root = make("div", "table")
  const grid = make("div", "grid")
  grid.setAttribute("role", "group")
  grid.setAttribute("aria-label", "Periodic table: choose elements")
  const readout = make("div", "readout")
  readout.setAttribute("aria-live", "polite")
  grid.append(readout)
  const cells = {}
  let typed = ""
  let typedAt = 0
  let pen = "must"

  const stateOf = (symbol) => model.states[symbol]
  const inState = (state) => Object.keys(model.states).filter((s) => stateOf(s) === state).sort()
  const chosen = () => [...inState("must"), ...inState("may")]
  // With nothing but ruled-out elements, any others are meant.
  const implied = () => chosen().length === 0 && inState("never").length > 0

  const describe = (element) => {
    const reason = model.blocked[element.symbol]
    const state = stateOf(element.symbol)
    const big = make("span", `big ${element.category}`, element.symbol)
    const words = make("span", "words")
    words.append(make("b", "", `${element.number} ${element.name}`))
    const told = reason || (state ? WORDS[state] : element.category_name)
    words.append(make("span", reason ? "reason" : "", told))
    readout.replaceChildren(big, words)
  }

  const chipOf = (symbol) => {
    const state = stateOf(symbol)
    const chip = make("button", `chip ${state} ${bySymbol[symbol]?.category ?? ""}`)
    chip.type = "button"
    chip.title = `${bySymbol[symbol]?.name ?? symbol}: ${WORDS[state]}`
    chip.setAttribute("aria-label", `Remove ${symbol}, ${WORDS[state]}`)
    chip.append(make("span", "", symbol), make("i", "", "×"))
    chip.addEventListener("click", () => put(symbol))
    return chip
  }

  const summary = () => {
    if (Object.keys(model.states).length === 0) {
      const hint = model.others ? "Any element may appear: say what must, or never" :
        "Click the elements of your system; click again for another state"
      readout.replaceChildren(make("span", "words hint", hint))
      return
    }
    const symbols = [...chosen(), ...inState("never")]
    const shown = symbols.length > MOST_CHIPS ? MOST_CHIPS - 1 : symbols.length
    const chips = symbols.slice(0, shown).map(chipOf)
    if (symbols.length > shown) {
      const more = make("span", "more", `+${symbols.length - shown}`)
      more.title = symbols.slice(shown).join(", ")
      chips.push(more)
    }
    readout.replaceChildren(...chips)
  }

  const put = (symbol, state) => {
    const {[symbol]: _, ...rest} = model.states
    model.states = state ? {...rest, [symbol]: state} : rest
  }

  // Where others may join, every element may appear: that state is left out.
  const usable = () => STATES.filter((state) => state !== "may" || !model.others)

  const advance = (symbol) => {
    const states = usable()
    const now = stateOf(symbol)
    if (!now && model.blocked[symbol]) { return }
    put(symbol, now ? states[states.indexOf(now) + 1] : pen)
  }

  const [legend, pens] = legendOf((state) => { pen = state; paintLegend() })
  const [foot, box, clear] = footOf((joined) => {
    if (joined) {
      const kept = Object.entries(model.states).filter(([, state]) => state !== "may")
      model.states = Object.fromEntries(kept)
    }
    model.others = joined
  }, () => { model.others = false; model.states = {} })
  const note = make("p", "note")

  const paintLegend = () => {
    if (!usable().includes(pen)) { pen = "must" }
    for (const [state, button] of Object.entries(pens)) {
      button.setAttribute("aria-checked", String(state === pen))
      button.tabIndex = state === pen ? 0 : -1
      button.disabled = !usable().includes(state)
    }
    box.checked = model.others || implied()
    box.disabled = implied()
    clear.hidden = Object.keys(model.states).length === 0
    const idle = inState("never").length > 0 && !box.checked
    note.textContent = idle ? "No others may join, so “never” changes nothing yet." : ""
  }

  const paint = () => {
    for (const [symbol, cell] of Object.entries(cells)) {
      const reason = model.blocked[symbol]
      const state = stateOf(symbol)
      const {number, name} = bySymbol[symbol]
      for (const each of STATES) { cell.classList.toggle(each, state === each) }
      cell.classList.toggle("blocked", Boolean(reason) && state !== "never")
      cell.setAttribute("aria-pressed", {must: "true", may: "mixed"}[state] ?? "false")
      cell.setAttribute("aria-disabled", String(Boolean(reason)))
      const told = [state && WORDS[state], reason].filter(Boolean)
      cell.setAttribute("aria-label", [name, symbol, ...told].join(", "))
      cell.title = `${number} ${name}${told.length ? `: ${told.join("; ")}` : ""}`
    }
    paintLegend()
    summary()
  }

  const focus = (element) => {
    for (const cell of Object.values(cells)) { cell.tabIndex = -1 }
    cells[element.symbol].tabIndex = 0
    cells[element.symbol].focus()
  }

  const jump = (letter) => {
    const now = Date.now()
    typed = now - typedAt < 900 ? typed + letter : letter
    typedAt = now
    const found = elements.find((element) => element.symbol.toLowerCase() === typed)
      ?? elements.find((element) => element.symbol.toLowerCase().startsWith(typed))
      ?? elements.find((element) => element.name.toLowerCase().startsWith(typed))
    if (found) { focus(found) }
  }

  for (const element of elements) {
    const cell = cellOf(element)
    cell.addEventListener("click", () => { focus(element); advance(element.symbol) })
    cell.addEventListener("mouseenter", () => describe(element))
    cell.addEventListener("focus", () => { if (cell.matches(":focus-visible")) { describe(element) } })
    cell.addEventListener("keydown", (event) => {
      if (ARROWS[event.key]) {
        event.preventDefault()
        const next = neighbour(element, ARROWS[event.key], elements)
        if (next) { focus(next) }
      } else if (/^[123]$/.test(event.key) && usable().includes(STATES[event.key - 1])) {
        if (!model.blocked[element.symbol]) { put(element.symbol, STATES[event.key - 1]) }
      } else if (["0", "Delete", "Backspace"].includes(event.key)) {
        event.preventDefault()
        put(element.symbol)
      } else if (/^[a-z]$/i.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) {
        jump(event.key.toLowerCase())
        return
      }
      typed = ""   // any other key ends a symbol
    })
    cells[element.symbol] = cell
    grid.append(cell)
  }
  cells[elements[0].symbol].tabIndex = 0
  grid.addEventListener("mouseleave", summary)
  for (const name of ["states", "others", "blocked"]) { model.on(name, paint) }
  root.append(grid, legend, foot, note)
  paint()
  return root
}
