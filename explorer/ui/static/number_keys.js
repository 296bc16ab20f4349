// The number fields of panel-material-ui take what was typed when they are left, or at Enter; after
// Enter they believe that they were left and drop what is typed next. So Enter leaves and comes back.

function fieldOf(node) {
  return node?.closest?.("[inputmode=decimal]") && node.closest(".MuiFormControl-root")
}

function comeBack(event) {
  const [input] = event.composedPath()
  if (event.key !== "Enter" || input?.tagName !== "INPUT" || !fieldOf(input)) { return }
  setTimeout(() => {
    input.blur()
    input.focus()
  })
}

// Both buttons of a field are icons alone; they get their names once the page is connected, and where
// the library has drawn them anew, when the field is entered.
function nameButtons(field) {
  const label = field?.querySelector("label")?.firstChild?.textContent
  if (!label) { return }
  for (const [side, word] of [["Start", "Less"], ["End", "More"]]) {
    const button = field.querySelector(`.MuiInputAdornment-position${side} button`)
    button?.setAttribute("aria-label", `${word}: ${label}`)
  }
}

function nameAll() {
  const roots = [document]
  for (const root of roots) {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) { roots.push(node.shadowRoot) }
      if (node.matches("[inputmode=decimal]")) { nameButtons(fieldOf(node)) }
    }
  }
}

export function render({model}) {
  const enter = (event) => nameButtons(fieldOf(event.composedPath()[0]))
  const soon = () => requestIdleCallback(nameAll, {timeout: 2000})  // a page that draws is never idle
  const connected = new MutationObserver(soon)
  connected.observe(document.documentElement, {attributeFilter: ["data-connected"]})
  soon()  // where the page was connected before
  const listeners = {keydown: comeBack, focusin: enter, mouseover: enter}
  for (const [kind, listener] of Object.entries(listeners)) {
    document.addEventListener(kind, listener, true)
  }
  model.on("remove", () => {
    connected.disconnect()
    for (const [kind, listener] of Object.entries(listeners)) {
      document.removeEventListener(kind, listener, true)
    }
  })
  return document.createElement("span")
}
