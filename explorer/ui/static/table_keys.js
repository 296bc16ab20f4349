// The table draws its rows anew when one of them changes, and their buttons with them. Who presses a
// button by key finds the focus on the new one of the same row, not at the start of the page.

const ROW = ".tabulator-row"
const numberOf = (row) => row?.querySelector("[tabulator-field=number]")?.textContent

export function render({model}) {
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
  return document.createElement("span")
}
