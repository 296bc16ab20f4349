// The campaigns of this store: what became of each, and what can be done with it. Every action
// goes to the server as [action, id, text, number of the request].

const MANY = 8   // campaigns from which on there is a field to find them

function make(tag, className, text) {
  const node = document.createElement(tag)
  if (className) { node.className = className }
  if (text !== undefined) { node.textContent = text }
  return node
}

export function render({model}) {
  const root = make("div", "campaigns")
  const list = make("ul")
  const empty = make("p", "empty", "")
  const wanted = make("input", "find")
  wanted.type = "search"
  wanted.placeholder = "Find: a name, elements, a state …"
  wanted.setAttribute("aria-label", "Find campaigns")
  root.append(wanted, list, empty)
  let requests = 0
  let renaming = ""   // id of the campaign whose name is being typed

  const ask = (action, id, text = "") => { model.request = [action, id, text, ++requests] }

  // Several campaigns may have one name; the start of the id is shown beside it, too.
  const named = (row) => `${row.title} · ${row.id.slice(0, 4)}`

  const button = (row, action, text) => {
    const node = make("button", action, text)
    node.type = "button"
    node.dataset.action = action
    node.setAttribute("aria-label", `${text}: ${named(row)}`)
    node.addEventListener("click", () => {
      if (action === "rename") { renaming = row.id; draw() } else { ask(action, row.id) }
    })
    return node
  }

  const name = (row) => {
    if (renaming === row.id) { return nameField(row) }
    const link = make("a", "title", row.title)
    link.href = row.href
    link.title = row.title
    link.setAttribute("aria-label", named(row))
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) { return }
      event.preventDefault()
      ask("open", row.id)
    })
    return row.deleted ? make("span", "title", row.title) : link
  }

  const nameField = (row) => {
    const field = make("input", "title")
    field.value = row.name
    field.maxLength = 200
    field.placeholder = row.system
    field.setAttribute("aria-label", `New name of ${row.title}`)
    const leave = (keep) => {
      if (renaming !== row.id) { return }
      renaming = ""
      if (keep && field.value.trim() !== row.name) { ask("rename", row.id, field.value) }
      draw()
      find(row.id, "rename")?.focus()
    }
    field.addEventListener("keydown", (event) => {
      // The focus moves to the Rename button, which must not feel the rest of this key press.
      if (event.key === "Enter") { event.preventDefault(); leave(true) }
      if (event.key === "Escape") { leave(false) }
    })
    field.addEventListener("blur", () => leave(true))
    return field
  }

  const find = (id, action) =>
    root.querySelector(`li[data-id="${id}"] [data-action="${action}"]`)

  const fates = (row) => {
    const track = make("div", "track")
    track.setAttribute("role", "img")
    track.setAttribute("aria-label", row.fates.map(([kind, , n]) => `${n} ${kind}`).join(", ")
      || "nothing drawn")
    track.title = track.getAttribute("aria-label")
    for (const [kind, share] of row.fates) {
      const part = make("i", kind)
      part.style.width = `${(100 * share).toFixed(2)}%`
      track.append(part)
    }
    return track
  }

  const box = (row) => {
    const node = make("input", "tick")
    node.type = "checkbox"
    node.checked = model.ticked.includes(row.id)
    node.dataset.action = "tick"
    node.title = "Tick to compare"
    node.setAttribute("aria-label", `Compare: ${named(row)}`)
    node.addEventListener("change", () => {
      const others = model.ticked.filter((id) => id !== row.id)
      model.ticked = node.checked ? [...others, row.id] : others
    })
    return node
  }

  // The picture repeats what the name and the counts say, and opens the campaign as the name does.
  const picture = (row) => {
    const node = make("div", "thumbnail")
    node.innerHTML = row.thumbnail   // made of numbers alone
    if (!row.deleted) { node.addEventListener("click", () => ask("open", row.id)) }
    return node
  }

  const item = (row) => {
    const line = make("li", row.deleted ? "deleted" : "")
    line.dataset.id = row.id
    const head = make("div", "head")
    head.append(name(row), make("span", `chip ${row.state}`, row.state))
    const facts = make("div", "facts", row.facts)
    facts.title = row.facts
    const middle = make("div", "middle")
    middle.append(fates(row), make("div", "facts", row.counts))
    const low = make("div", "low")
    low.title = row.lowest ? "Lowest energy above the hull" : ""
    low.append(make("b", "", row.lowest), make("span", "facts", row.lowest_of))
    const actions = make("div", "actions")
    for (const [action, text] of row.actions) { actions.append(button(row, action, text)) }
    const left = make("div", "left")
    left.append(head, facts)
    if (row.problem) { left.append(make("div", "problem", row.problem)) }
    line.append(row.deleted ? make("span") : box(row), picture(row), left, middle, low, actions)
    return line
  }

  // All words that are typed stand somewhere in what a row says.
  const isWanted = (row) => {
    const told = [row.title, row.system, row.facts, row.state, row.problem].join(" ").toLowerCase()
    return wanted.value.toLowerCase().split(/\s+/).every((word) => told.includes(word))
  }

  const draw = () => {
    const inside = root.getRootNode().activeElement
    const kept = inside?.dataset?.action && [inside.closest("li")?.dataset.id, inside.dataset.action]
    wanted.hidden = model.rows.length < MANY && !wanted.value
    const shown = model.rows.filter(isWanted)
    list.replaceChildren(...shown.map(item))
    empty.textContent = model.rows.length ? "No campaign says that." : model.empty
    empty.hidden = shown.length > 0
    const typed = list.querySelector("input.title")
    if (typed) { typed.focus(); typed.select() }
    else if (kept) { find(...kept)?.focus() }
  }

  wanted.addEventListener("input", draw)
  wanted.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && wanted.value) { wanted.value = ""; draw() }
  })
  for (const changed of ["rows", "empty"]) { model.on(changed, () => { if (!renaming) { draw() } }) }
  draw()
  return root
}
