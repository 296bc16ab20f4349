// A periodic table in which a click, Enter or Space chooses an element.
// One cell is in the tab order; arrow keys move, letters jump to a symbol or a name.

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

export function render({model}) {
  const elements = model.cells
  const bySymbol = Object.fromEntries(elements.map((element) => [element.symbol, element]))
  const grid = make("div", "grid")
  grid.setAttribute("role", "group")
  grid.setAttribute("aria-label", "Periodic table: choose elements")
  const readout = make("div", "readout")
  readout.setAttribute("aria-live", "polite")
  grid.append(readout)
  const cells = {}
  let typed = ""
  let typedAt = 0

  const describe = (element) => {
    const reason = model.blocked[element.symbol]
    const big = make("span", `big ${element.category}`, element.symbol)
    const words = make("span", "words")
    words.append(make("b", "", `${element.number} ${element.name}`))
    words.append(make("span", reason ? "reason" : "", reason || element.category_name))
    readout.replaceChildren(big, words)
  }

  const summary = () => {
    if (model.value.length === 0) {
      readout.replaceChildren(make("span", "words hint", "Click the elements of your system"))
      return
    }
    const chips = model.value.map((symbol) => {
      const chip = make("button", `chip ${bySymbol[symbol]?.category ?? ""}`, symbol)
      chip.type = "button"
      chip.title = `Remove ${symbol}`
      chip.setAttribute("aria-label", `Remove ${symbol}`)
      chip.append(make("i", "", "×"))
      chip.addEventListener("click", () => toggle(symbol))
      return chip
    })
    const clear = make("button", "clear", "Clear")
    clear.type = "button"
    clear.addEventListener("click", () => { model.value = [] })
    readout.replaceChildren(...chips, clear)
  }

  const paint = () => {
    for (const [symbol, cell] of Object.entries(cells)) {
      const reason = model.blocked[symbol]
      const chosen = model.value.includes(symbol)
      const {number, name} = bySymbol[symbol]
      cell.classList.toggle("chosen", chosen)
      cell.classList.toggle("blocked", Boolean(reason))
      cell.setAttribute("aria-pressed", String(chosen))
      cell.setAttribute("aria-disabled", String(Boolean(reason)))
      cell.setAttribute("aria-label", `${name}, ${symbol}${reason ? `, ${reason}` : ""}`)
      cell.title = `${number} ${name}${reason ? `: ${reason}` : ""}`
    }
    summary()
  }

  const toggle = (symbol) => {
    const chosen = model.value.includes(symbol)
    if (!chosen && model.blocked[symbol]) { return }
    const rest = model.value.filter((other) => other !== symbol)
    model.value = chosen ? rest : [...rest, symbol].sort()
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
    cell.addEventListener("click", () => { focus(element); toggle(element.symbol) })
    cell.addEventListener("mouseenter", () => describe(element))
    cell.addEventListener("focus", () => { if (cell.matches(":focus-visible")) { describe(element) } })
    cell.addEventListener("keydown", (event) => {
      if (ARROWS[event.key]) {
        event.preventDefault()
        const next = neighbour(element, ARROWS[event.key], elements)
        if (next) { focus(next) }
      } else if (/^[a-z]$/i.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) {
        jump(event.key.toLowerCase())
      }
    })
    cells[element.symbol] = cell
    grid.append(cell)
  }
  cells[elements[0].symbol].tabIndex = 0
  grid.addEventListener("mouseleave", summary)
  for (const name of ["value", "blocked"]) { model.on(name, paint) }
  paint()
  return grid
}
