// Space groups as a tree: crystal system, point group, group. Typing searches all of them; the keys
// are those of a tree: arrows move, Right and Left open and close, Enter or Space chooses.

const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉"
const MOST_FOUND = 60

function make(tag, className, text) {
  const node = document.createElement(tag)
  if (className) { node.className = className }
  if (text !== undefined) { node.textContent = text }
  return node
}

// As the server spells names: lower case without spaces, underscores and braces; a bar is a minus.
function plain(text) {
  return [...text.toLowerCase().replace(/[−–¯\u0304\u0305]/g, "-")]
    .map((c) => (SUBSCRIPTS.includes(c) ? SUBSCRIPTS.indexOf(c) : c))
    .filter((c) => !" _{}".includes(c)).join("")
}

// How well a group answers a query: 0 not at all, the larger the better.
function rank(group, query) {
  const whole = plain(query)
  if (String(group.number) === whole) { return 100 }
  if (plain(group.symbol) === whole) { return 90 }
  if (group.names.includes(whole)) { return 80 }
  if (/^\d+$/.test(whole)) { return String(group.number).startsWith(whole) ? 50 : 0 }
  if (group.names.some((name) => name.startsWith(whole))) { return 40 }
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  const heap = [...group.names, group.system, plain(group.point_group),
    ...group.lattice.toLowerCase().split(", ")]
  const fits = (word) => heap.some((name) => name.startsWith(plain(word)))
  return words.length && words.every(fits) ? 20 : 0
}

function grow(groups) {
  const systems = []
  for (const group of groups) {
    let system = systems.find((s) => s.name === group.system)
    if (!system) { systems.push(system = {key: group.system, name: group.system, children: []}) }
    let point = system.children.find((p) => p.name === group.point_group)
    if (!point) {
      const key = `${group.system} ${group.point_group}`
      system.children.push(point = {key, name: group.point_group, parent: system, children: []})
    }
    point.children.push({key: String(group.number), group, parent: point})
  }
  return systems
}

const leaves = (node) => (node.group ? [node.group.number] : node.children.flatMap(leaves))

export function render({model}) {
  const groups = model.groups
  const byNumber = Object.fromEntries(groups.map((group) => [group.number, group]))
  const systems = grow(groups)
  const open = new Set()
  let unfolded = false
  let active = null
  let shown = []

  const root = make("div", "picker")
  const box = make("div", "box")
  const input = make("input")
  input.type = "text"
  input.setAttribute("aria-label", "Search space groups")
  input.setAttribute("aria-controls", "tree")
  input.autocomplete = "off"
  input.spellcheck = false
  const chips = make("span", "chips")
  const toggle = make("button", "toggle")
  toggle.type = "button"
  toggle.setAttribute("aria-label", "Browse space groups")
  box.append(chips, input, toggle)
  const tree = make("div", "tree")
  tree.id = "tree"
  tree.setAttribute("role", "tree")
  tree.setAttribute("aria-label", "Space groups by crystal system and point group")
  tree.setAttribute("aria-multiselectable", "true")
  root.append(box, tree)

  const set = (numbers) => { model.value = [...new Set(numbers)].sort((a, b) => a - b) }
  const choose = (node) => {
    const own = leaves(node)
    const all = own.every((number) => model.value.includes(number))
    set(all ? model.value.filter((n) => !own.includes(n)) : [...model.value, ...own])
  }

  const paintChips = () => {
    const most = 6
    const nodes = model.value.slice(0, most).map((number) => {
      const label = `${byNumber[number]?.symbol ?? "?"} (${number})`
      const chip = make("button", "chip", label)
      chip.type = "button"
      chip.setAttribute("aria-label", `Remove space group ${label}`)
      chip.append(make("i", "", "×"))
      chip.addEventListener("click", () => set(model.value.filter((n) => n !== number)))
      return chip
    })
    const left = model.value.length - most
    if (left > 0) { nodes.push(make("span", "more", `and ${left} more`)) }
    if (model.value.length > 1) {
      const clear = make("button", "clear", "Clear")
      clear.type = "button"
      clear.addEventListener("click", () => set([]))
      nodes.push(clear)
    }
    chips.replaceChildren(...nodes)
    input.placeholder = model.value.length ? "add another" : "any, or type 139, Fd-3m, cubic F"
    box.classList.toggle("wrong", Boolean(model.problem))
  }

  const visible = () => {
    const query = input.value.trim()
    if (query) {
      const found = groups.map((group) => [rank(group, query), group]).filter(([score]) => score)
      found.sort((a, b) => b[0] - a[0] || a[1].number - b[1].number)
      return found.map(([, group]) => ({level: 1, key: String(group.number), group, found: true}))
    }
    const lines = []
    const walk = (node, level) => {
      lines.push(Object.assign(node, {level}))
      if (node.children && open.has(node.key)) { node.children.forEach((n) => walk(n, level + 1)) }
    }
    systems.forEach((system) => walk(system, 1))
    return lines
  }

  const lineOf = (node) => {
    const own = leaves(node)
    const chosen = own.filter((number) => model.value.includes(number)).length
    const line = make("div", `line level${node.level}${node.group ? " group" : ""}`)
    line.setAttribute("role", "treeitem")
    line.setAttribute("aria-level", String(node.level))
    line.setAttribute("aria-selected", String(chosen === own.length))
    line.tabIndex = -1
    line.dataset.key = node.key
    if (node.children) { line.setAttribute("aria-expanded", String(open.has(node.key))) }
    line.append(make("i", `fold${node.children ? (open.has(node.key) ? " open" : " shut") : ""}`))
    const box = make("i", `tick${chosen === own.length ? " all" : chosen ? " some" : ""}`)
    line.append(box)
    if (node.group) {
      const {number, symbol, system, point_group, lattice} = node.group
      line.append(make("span", "number", number), make("span", "symbol", symbol),
        make("span", "muted", node.found ? `${system} · ${point_group}` : lattice))
    } else {
      const range = own.length > 1 ? `${own[0]}–${own.at(-1)}` : own[0]
      line.append(make("span", "name", node.level === 2 ? `point group ${node.name}` : node.name),
        make("span", "muted", `${range}${chosen ? ` · ${chosen} chosen` : ""}`))
    }
    line.addEventListener("click", (event) => {
      if (node.children && !event.target.classList.contains("tick")) { fold(node) } else { choose(node) }
      focus(node.key)
    })
    line.addEventListener("keydown", (event) => key(event, node))
    return line
  }

  const lineAt = (key) => tree.querySelector(`[data-key="${CSS.escape(key)}"]`)

  const paintTree = () => {
    tree.hidden = !unfolded
    toggle.classList.toggle("open", unfolded)
    toggle.setAttribute("aria-expanded", String(unfolded))
    if (!unfolded) { return }
    const held = root.getRootNode().activeElement?.dataset?.key
    const top = tree.scrollTop
    const all = visible()
    shown = all.slice(0, input.value.trim() ? MOST_FOUND : all.length)
    const lines = shown.map(lineOf)
    if (!lines.length) { lines.push(make("div", "none", "No space group has this number or name.")) }
    if (all.length > shown.length) {
      lines.push(make("div", "none", `and ${all.length - shown.length} more: type on`))
    }
    tree.replaceChildren(...lines)
    tree.scrollTop = top
    const at = shown.find((node) => node.key === active) ?? shown[0]
    if (at) { lineAt(at.key).tabIndex = 0 }
    if (held) { lineAt(held)?.focus() }
  }
  const paint = () => { paintChips(); paintTree() }

  const focus = (key) => {
    active = key
    for (const line of tree.querySelectorAll(".line")) { line.tabIndex = -1 }
    const line = lineAt(key)
    if (line) { line.tabIndex = 0; line.focus() }
  }
  const fold = (node, wanted = !open.has(node.key)) => {
    if (wanted) { open.add(node.key) } else { open.delete(node.key) }
    paintTree()
  }
  const unfold = (wanted) => {
    if (unfolded !== wanted) { unfolded = wanted; paintTree() }
  }

  const key = (event, node) => {
    const place = shown.findIndex((other) => other.key === node.key)
    const go = (other) => { if (other) { focus(other.key) } }
    const actions = {
      ArrowDown: () => go(shown[place + 1]),
      ArrowUp: () => (place ? go(shown[place - 1]) : input.focus()),
      Home: () => go(shown[0]),
      End: () => go(shown.at(-1)),
      ArrowRight: () => {
        if (!node.children) { return }
        if (open.has(node.key)) { go(node.children[0]) } else { fold(node, true) }
      },
      ArrowLeft: () => {
        if (node.children && open.has(node.key)) { fold(node, false) } else { go(node.parent) }
      },
      Enter: () => choose(node),
      " ": () => choose(node),
      Escape: () => { input.focus(); unfold(false) },
    }
    if (actions[event.key]) { event.preventDefault(); actions[event.key]() }
  }

  input.addEventListener("input", () => { unfolded = true; active = null; tree.scrollTop = 0; paintTree() })
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") {
      event.preventDefault()
      unfold(true)
      if (shown[0]) { focus(shown[0].key) }
    } else if (event.key === "Enter" && input.value.trim()) {
      const [best] = visible()
      if (best) { input.value = ""; unfolded = false; choose(best); paintTree() }
    } else if (event.key === "Escape") {
      input.value = ""
      unfold(false)
      paintTree()
    } else if (event.key === "Backspace" && !input.value && model.value.length) {
      set(model.value.slice(0, -1))
    }
  })
  toggle.addEventListener("click", () => unfold(!unfolded))
  box.addEventListener("click", (event) => { if (event.target === box) { input.focus() } })
  for (const name of ["value", "problem"]) { model.on(name, paint) }
  paint()
  return root
}
