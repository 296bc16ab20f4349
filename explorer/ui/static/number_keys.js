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

// Both buttons of a field are icons alone; they get their names when the field is entered.
function name(event) {
  const field = fieldOf(event.composedPath()[0])
  const label = field?.querySelector("label")?.firstChild?.textContent
  if (!label) { return }
  for (const [side, word] of [["Start", "Less"], ["End", "More"]]) {
    const button = field.querySelector(`.MuiInputAdornment-position${side} button`)
    button?.setAttribute("aria-label", `${word}: ${label}`)
  }
}

export function render({model}) {
  const listeners = {keydown: comeBack, focusin: name, mouseover: name}
  for (const [kind, listener] of Object.entries(listeners)) {
    document.addEventListener(kind, listener, true)
  }
  model.on("remove", () => {
    for (const [kind, listener] of Object.entries(listeners)) {
      document.removeEventListener(kind, listener, true)
    }
  })
  return document.createElement("span")
}
