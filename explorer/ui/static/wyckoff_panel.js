// The Wyckoff positions of one space group: a click asks for a position, chips say what may sit
// there, fields what its free coordinates may be, "never" forbids it. One position is in the tab order; arrow keys move, letters jump to a
// position; as in the periodic table 1 asks for it, 3 forbids it, 0 and Delete take that back.

const SVG = "http://www.w3.org/2000/svg"

function make(tag, className, text) {
  const node = document.createElement(tag)
  if (className) { node.className = className }
  if (text !== undefined) { node.textContent = text }
  return node
}

function button(className, text, label, action) {
  const node = make("button", className, text)
  node.type = "button"
  if (label) { node.setAttribute("aria-label", label); node.title = label }
  node.addEventListener("click", action)
  return node
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) { node.setAttribute(name, value) }
  return node
}

// The cell with one or more orbits in it; what lies nearer is larger and drawn later.
function picture(edges, orbits, radius) {
  const svg = shape("svg", {viewBox: "0 0 100 100", "aria-hidden": "true"})
  for (const [x1, y1, x2, y2] of edges) { svg.append(shape("line", {x1, y1, x2, y2})) }
  const points = orbits.flatMap(({points, colour, kind}) =>
    points.map(([x, y, depth]) => ({x, y, depth, colour, kind})))
  points.sort((a, b) => a.depth - b.depth)
  for (const {x, y, depth, colour, kind} of points) {
    const dot = shape("circle", {cx: x, cy: y, r: (radius * (0.72 + 0.5 * depth)).toFixed(2)})
    dot.setAttribute("class", kind)
    dot.style.setProperty("--depth", (0.45 + 0.55 * depth).toFixed(2))
    if (colour) { dot.style.fill = colour }
    svg.append(dot)
  }
  return svg
}

const FREEDOM = ["no free coordinate", "1 free coordinate", "2 free coordinates", "3 free coordinates"]
const NUMBER = "[+-]?\\d*\\.?\\d+(?:/0*[1-9]\\d*)?"
const COORDINATE = new RegExp(`^\\s*(?:${NUMBER}(?:\\s*\\.\\.\\s*${NUMBER})?)?\\s*$`)
const numberOf = (text) => text.split("/").map(Number).reduce((part, whole) => part / whole)
// As the server reads them: a range rises, by less than the edge of a cell.
const isCoordinate = (text) => {
  if (!COORDINATE.test(text)) { return false }
  const [low, high] = text.split("..").map(numberOf)
  return high === undefined || (low <= high && high < low + 1)
}
const inWords = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`

export function render({model}) {
  const root = make("div", "panel")
  const preview = make("div", "preview")
  const list = make("div", "list")
  list.setAttribute("role", "group")
  preview.setAttribute("aria-live", "polite")
  const note = make("div", "note")
  root.append(note, preview, list)
  let rows = {}
  let focused = null

  const positionOf = (letter) => model.group.positions?.find((p) => p.letter === letter)
  const asked = (letter) => model.value.filter(([at, symbols]) => at === letter && symbols)
  const banned = (letter) => model.value.some(([at, symbols]) => at === letter && !symbols)
  const others = (letter) => model.value.filter(([at]) => at !== letter)
  const colourOf = (symbol) => model.elements.find((e) => e.symbol === symbol)?.colour

  const order = (sites) => {
    const letters = model.group.positions.map((p) => p.letter)
    return [...sites].sort((a, b) => letters.indexOf(a[0]) - letters.indexOf(b[0]))
  }
  const ask = (letter) => { model.value = order([...model.value, [letter, []]]) }
  const remove = (site) => { model.value = model.value.filter((other) => other !== site) }
  const allow = (site, symbol) => {
    const [letter, symbols, ...places] = site
    const next = symbols.includes(symbol) ? symbols.filter((s) => s !== symbol) : [...symbols, symbol]
    const changed = [letter, next.sort(), ...places]
    model.value = model.value.map((other) => (other === site ? changed : other))
  }
  const place = (site, axis, text) => {
    const [letter, symbols, places = {}] = site
    const {[axis]: _, ...rest} = places
    const asked = text ? {...rest, [axis]: text} : rest
    const changed = [letter, symbols, ...(Object.keys(asked).length ? [asked] : [])]
    model.value = model.value.map((other) => (other === site ? changed : other))
  }
  // "must" and "never" exclude each other, so that either takes the other's place.
  const set = (letter, state) => {
    if (state === "must" && asked(letter).length) { return }
    const site = {must: [[letter, []]], never: [[letter, null]]}[state] ?? []
    model.value = order([...others(letter), ...site])
  }
  const press = ({letter}) => set(letter, asked(letter).length ? null : "must")
  const forbid = ({letter}) => set(letter, banned(letter) ? null : "never")

  const orbitsAsked = () => model.value.filter(([, symbols]) => symbols).flatMap(([letter, symbols]) => {
    const position = positionOf(letter)
    const colour = symbols.length === 1 ? colourOf(symbols[0]) : undefined
    return position ? [{points: position.points, colour, kind: "asked"}] : []
  })

  const show = (position) => {
    const {edges, label, positions, centring} = model.group
    const taken = orbitsAsked()
    const never = position && banned(position.letter)
    const kind = never ? "shown never" : "shown"
    const orbits = position ? [...taken, {points: position.points, kind}] : taken
    const words = make("div", "words")
    if (position) {
      words.append(make("b", "", `${position.name} · site symmetry ${position.site_symmetry}`))
      words.append(never ? make("span", "reason", "Forbidden: no crystal has an atom here")
        : make("span", "free", FREEDOM[position.freedom]))
      const places = make("span", "places")
      const shown = position.coordinates.slice(0, 12)
      for (const place of shown) { places.append(make("code", "", place)) }
      const left = position.coordinates.length - shown.length
      if (left) { places.append(make("span", "", `and ${left} more`)) }
      words.append(places)
      if (centring.length) { words.append(make("span", "", `+ ${centring.join(" ")}`)) }
    } else {
      words.append(make("b", "", label))
      // As much as there is room for: what is longer is cut off.
      words.append(make("span", "", `${inWords(positions.length, "Wyckoff position")}. Click one for `
        + "atoms on it, then the elements that may sit there; one with free coordinates again, or "
        + "at values. “never” keeps one empty."))
    }
    preview.replaceChildren(picture(edges, orbits, 3.4), words)
  }

  const siteLine = (site, nth, count, position) => {
    const [letter, symbols] = site
    const line = make("div", "site")
    const which = count > 1 ? `${position.name}, ${nth + 1} of ${count}` : position.name
    line.setAttribute("role", "group")
    line.setAttribute("aria-label", `Elements on ${which}`)
    line.append(make("span", "any", symbols.length ? "holds" : "holds any of"))
    const known = model.elements.map((element) => element.symbol)
    const strangers = symbols.filter((symbol) => !known.includes(symbol))
    for (const symbol of [...known, ...strangers]) {
      const on = symbols.includes(symbol)
      const chip = button(`chip${on ? " on" : ""}${known.includes(symbol) ? "" : " stranger"}`,
        symbol, `${symbol} on ${which}`, () => allow(site, symbol))
      chip.setAttribute("aria-pressed", String(on))
      chip.dataset.key = `${letter} ${nth} ${symbol}`
      line.append(chip)
    }
    if (!known.length && !strangers.length) { line.append(make("span", "any", "element")) }
    line.append(button("remove", "×", `Remove ${which}`, () => remove(site)))
    if (position.freedom) { line.append(placeFields(site, nth, which, position)) }
    return line
  }

  // What is typed is taken when the field is left, once focus is where it goes: the list is rebuilt.
  const placeFields = (site, nth, which, position) => {
    const [letter, , places = {}] = site
    const fields = make("div", "fields")
    fields.append(make("span", "any", "at"))
    for (const axis of position.axes) {
      const field = make("label", "field", axis)
      const input = make("input")
      input.value = places[axis] ?? ""
      input.placeholder = "free"
      input.title = "A number such as 0.36 or 1/3, or a range such as 0.34..0.38; empty for any"
      input.setAttribute("aria-label", `${axis} of ${which}`)
      input.dataset.key = `${letter} ${nth} at ${axis}`
      input.spellcheck = false
      const wrong = !isCoordinate(input.value)
      input.setAttribute("aria-invalid", String(wrong))
      field.classList.toggle("wrong", wrong)
      input.addEventListener("change", () => {
        requestAnimationFrame(() => place(site, axis, input.value.trim()))
      })
      field.append(input)
      fields.append(field)
    }
    return fields
  }

  const rowOf = (position) => {
    const sites = asked(position.letter)
    const never = banned(position.letter)
    const row = make("div", `row${sites.length ? " on" : ""}${never ? " never" : ""}`)
    row.dataset.letter = position.letter
    const pick = button("pick", undefined, undefined, () => press(position))
    pick.tabIndex = -1
    pick.dataset.key = `pick ${position.letter}`
    pick.setAttribute("aria-pressed", String(sites.length > 0))
    // It begins with what is seen, so that it can be spoken; the list's own name says what that is.
    pick.setAttribute("aria-label", `${position.name} ${position.site_symmetry} `
      + `${position.coordinates[0]}, ${FREEDOM[position.freedom]}${never ? ", forbidden" : ""}`)
    const free = make("span", "dots")
    free.title = FREEDOM[position.freedom]
    for (let k = 0; k < 3; k++) { free.append(make("i", k < position.freedom ? "full" : "")) }
    pick.append(picture(model.group.edges, [{points: position.points, kind: "orbit"}], 4.2),
      make("b", "", position.name), make("span", "symmetry", position.site_symmetry),
      make("code", "", position.coordinates[0]), free)
    const ban = button("ban", "never", `Never an atom on ${position.name}`, () => forbid(position))
    ban.tabIndex = -1
    ban.dataset.key = `ban ${position.letter}`
    ban.setAttribute("aria-pressed", String(never))
    const head = make("div", "head")
    head.append(pick, ban)
    row.append(head)
    sites.forEach((site, nth) => row.append(siteLine(site, nth, sites.length, position)))
    if (sites.length && position.freedom) {
      const again = button("again", `+ ${position.name} again`, `+ ${position.name} again: atoms on another orbit of it`,
        () => ask(position.letter))
      again.dataset.key = `again ${position.letter}`
      row.append(again)
    }
    row.addEventListener("mouseenter", () => show(position))
    for (const [kind, node] of Object.entries({pick, ban})) {
      node.addEventListener("focus", () => {
        focused = position.letter
        if (node.matches(":focus-visible")) { show(position) }
      })
      node.addEventListener("keydown", (event) => step(event, position, kind))
    }
    return {row, pick, ban}
  }

  const STATES = {1: "must", 3: "never", 0: null, Delete: null, Backspace: null}
  const step = (event, position, kind) => {
    if (event.key in STATES) {
      event.preventDefault()
      set(position.letter, STATES[event.key])
      return
    }
    const {positions} = model.group
    const place = positions.indexOf(position)
    const ends = {Home: 0, End: positions.length - 1, ArrowDown: place + 1, ArrowUp: place - 1}
    const typed = !event.ctrlKey && !event.metaKey && !event.altKey && positionOf(event.key)
    const next = event.key in ends ? positions[ends[event.key]] : typed
    if (next) { event.preventDefault(); enter(next.letter); rows[next.letter][kind].focus() }
  }
  const enter = (letter) => {
    for (const {pick, ban} of Object.values(rows)) { pick.tabIndex = ban.tabIndex = -1 }
    rows[letter].pick.tabIndex = rows[letter].ban.tabIndex = 0
  }

  const tell = () => {
    const narrow = model.several.map(({number, label}) =>
      button("narrow", label, `Keep only ${label}`, () => { model.narrow = number }))
    const clear = model.foreign
      ? [button("narrow", "Remove them", "Remove them, the sites of the other group", () => {
          model.dropped += 1
        })] : []
    note.replaceChildren(...(model.note ? [make("p", "", model.note)] : []), ...narrow, ...clear)
    note.hidden = !note.childNodes.length
  }

  const paint = () => {
    const key = root.getRootNode().activeElement?.dataset.key
    const top = list.scrollTop
    const positions = model.group.positions ?? []
    tell()
    rows = Object.fromEntries(positions.map((position) => [position.letter, rowOf(position)]))
    list.replaceChildren(...Object.values(rows).map(({row}) => row))
    list.setAttribute("aria-label", `Wyckoff positions of ${model.group.label ?? ""}: `
      + "name, site symmetry and first point of each")
    preview.hidden = list.hidden = positions.length === 0
    if (!positions.length) { return }
    enter(focused in rows ? focused : positions[0].letter)
    list.scrollTop = top
    show(null)
    if (key) { list.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus() }
  }

  list.addEventListener("mouseleave", () => { if (model.group.positions) { show(null) } })
  model.on("group", () => { focused = null; list.scrollTop = 0; paint() })
  for (const name of ["value", "elements", "note", "several", "foreign"]) { model.on(name, paint) }
  paint()
  return root
}
