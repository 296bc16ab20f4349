// Loads the page again when its server, or the network to it, is back after it was away.
//
// Bokeh tries five times within half a minute and is refused when its token is older than five
// minutes; a page whose first connection fails it leaves dead. The page's address and the tab hold
// all that matters. This stands in the page itself, so that it works however little else has come.
{
  const PROBE_EVERY = 400 // ms, and as much again at most, so that many pages do not ask at once
  const GIVE_UP_PROBE = 3000 // ms
  const SHORTEST_STAY = 3000 // ms between two loads, doubled for each load in vain
  const LONGEST_STAY = 60000 // ms
  const COUNTED = "hullscape-loads-in-vain"
  const probe = new URL("static/extensions/panel/images/favicon.ico", document.baseURI)
  let waiting = false
  let asking = false
  let leaving = false

  const inVain = () => Number(sessionStorage.getItem(COUNTED) ?? 0)

  const reload = () => {
    if (!waiting || leaving) { return }
    leaving = true
    sessionStorage.setItem(COUNTED, inVain() + 1)
    location.reload()
  }

  const ask = async () => {
    if (!waiting || asking) { return }
    asking = true
    try {
      const answer = await fetch(probe, {
        cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_PROBE),
      })
      // A proxy answers in the name of a server that is away, with an error.
      if (answer.ok) { reload() }
    } catch {
      // away
    } finally {
      asking = false
    }
    if (!leaving) { setTimeout(ask, PROBE_EVERY * (1 + Math.random())) }
  }

  const lost = () => {
    if (waiting) { return }
    waiting = true
    const stay = Math.min(SHORTEST_STAY * 2 ** inVain(), LONGEST_STAY)
    setTimeout(ask, Math.max(0, stay - performance.now()))
  }

  window.hullscapeServer = {
    lost,
    found: () => { waiting = false },
    connected: () => sessionStorage.removeItem(COUNTED),
  }
  const connected = () => document.documentElement.dataset.connected

  // Before the page is connected nobody else notices: the first connection, or a script.
  const Socket = window.WebSocket
  window.WebSocket = class extends Socket {
    constructor(...options) {
      super(...options)
      this.addEventListener("close", () => { if (!connected()) { lost() } })
    }
  }
  window.addEventListener("error", (event) => {
    if (event.target instanceof HTMLScriptElement && !connected()) { lost() }
  }, true)
  window.addEventListener("pagehide", () => { leaving = true })
  window.addEventListener("pageshow", () => { leaving = false })
}
