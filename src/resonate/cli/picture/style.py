"""How the picture looks: one style sheet, for both colour schemes and for widths from a phone's up."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #17212b; --quiet: #566472; --line: #e3e8ed; --raised: #f5f7f9;
  --work: #0b7a75; --wait: #b9cad6; --wait-dark: #9db3c2; --bad: #c22f2f; --bad-pale: #f6cfcf;
  --live: #1f5fbf; --odd: #8a4fb0; --step: 1.1rem;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12181e; --ink: #e8edf2; --quiet: #9fb0be; --line: #26313b; --raised: #1a222a;
    --work: #35b8a6; --wait: #364857; --wait-dark: #4b6072; --bad: #ff7b72; --bad-pale: #5b2a2a;
    --live: #79b0ff; --odd: #d0a2f0;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header, main, footer { max-width: 90rem; margin: 0 auto; padding: 0 1.25rem; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: 1.25rem 0 .3rem; overflow-wrap: anywhere; }
.lead { margin: 0 0 .8rem; color: var(--quiet); overflow-wrap: anywhere; }
.lead b { color: var(--ink); font-weight: 600; }
.why { margin: 0 0 1rem; padding: .6rem .8rem; background: var(--raised); border-left: 3px solid var(--live);
  border-radius: 0 4px 4px 0; overflow-wrap: anywhere; }
.why.bad { border-color: var(--bad); }
.why p { margin: 0; } .why p + p { margin-top: .25rem; color: var(--quiet); }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 0 0 .6rem; padding: 0; list-style: none;
  color: var(--quiet); font-size: .85rem; }
.key i { display: inline-block; width: 1.6rem; height: .65rem; margin-right: .4rem; border-radius: 2px;
  vertical-align: baseline; }
.row, .axis { display: grid; grid-template-columns: minmax(0, 21rem) minmax(0, 1fr) 6rem; column-gap: .9rem;
  align-items: center; }
.axis { position: sticky; top: 0; z-index: 2; background: var(--paper); height: 1.9rem; font-size: .78rem;
  color: var(--quiet); border-bottom: 1px solid var(--line); }
.scale { position: relative; grid-column: 2; height: 100%; }
.scale span { position: absolute; top: .45rem; padding-left: .3rem; white-space: nowrap; }
.scale span.last { transform: translateX(-100%); padding: 0 .3rem 0 0; }
details > summary { list-style: none; cursor: pointer; }
details > summary::-webkit-details-marker { display: none; }
.row { padding: .22rem 0; border-bottom: 1px solid var(--line); }
summary:hover > .row, summary:focus-visible > .row { background: var(--raised); }
summary:focus-visible { outline: 2px solid var(--live); outline-offset: -2px; }
.label { min-width: 0; padding-left: calc(var(--d) * var(--step)); display: flex; align-items: baseline; gap: .45rem; }
.fold { flex: none; width: .7rem; color: var(--quiet); font-size: .75rem; transition: transform .1s; }
.fold::before { content: "\\25B8"; }
details[open] > summary .fold { transform: rotate(90deg); }
.leaf > summary .fold::before { content: "\\00B7"; }
.leaf[open] > summary .fold { transform: none; }
.name { font-weight: 600; overflow-wrap: anywhere; min-width: 0; }
.id { color: var(--quiet); font-size: .8rem; overflow-wrap: anywhere; min-width: 0; }
.time { text-align: right; font-variant-numeric: tabular-nums; font-size: .82rem; white-space: nowrap; }
.state { display: block; color: var(--quiet); font-size: .75rem; line-height: 1.1; }
.state:empty { display: none; }
.bad > summary .state { color: var(--bad); } .live > summary .state { color: var(--live); }
.odd > summary .state { color: var(--odd); }
.track { position: relative; height: 1.05rem; background-size: var(--pitch) 100%;
  background-image: linear-gradient(to right, var(--line) 1px, transparent 1px); }
.bar, .work { position: absolute; min-width: 2px; border-radius: 2px; }
.bar { top: .22rem; height: .6rem;
  background: repeating-linear-gradient(135deg, var(--wait) 0 5px, var(--wait-dark) 5px 7px); }
.work { top: .12rem; height: .8rem; background: var(--work); }
.bad > summary .bar { background: repeating-linear-gradient(135deg, var(--bad-pale) 0 5px, var(--bad) 5px 7px); }
.bad > summary .work { background: var(--bad); }
.live > summary .bar { border-right: 3px solid var(--live); border-radius: 2px 0 0 2px; }
.error { grid-column: 1 / -1; margin: .1rem 0 .2rem; padding-left: calc(var(--d) * var(--step) + 1.15rem);
  color: var(--bad); font-size: .85rem; overflow-wrap: anywhere; }
.facts { margin: 0; padding: .5rem .8rem .6rem; background: var(--raised); border-bottom: 1px solid var(--line);
  display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem .9rem; font-size: .85rem; }
.facts dt { color: var(--quiet); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.facts code { font: .95em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.more > summary { padding: .2rem 0 .2rem calc(var(--d) * var(--step) + 1.15rem); color: var(--quiet);
  font-size: .8rem; border-bottom: 1px solid var(--line); }
.about > summary { border: 0; padding-top: 0; padding-bottom: .1rem; font-size: .72rem; }
.more > summary::before { content: "\\25B8\\00A0"; } .more[open] > summary::before { content: "\\25BE\\00A0"; }
footer { padding-top: 1rem; padding-bottom: 2rem; color: var(--quiet); font-size: .8rem; }
@media (max-width: 720px) {
  :root { --step: .6rem; }
  header, main, footer { padding-left: .8rem; padding-right: .8rem; }
  .row { grid-template-columns: minmax(0, 1fr) auto; row-gap: .1rem; padding: .35rem 0; }
  .axis { grid-template-columns: minmax(0, 1fr); }
  .scale { grid-column: 1; }
  .scale span.wide { display: none; }
  .track { grid-column: 1 / -1; grid-row: 2; }
  .error { grid-row: 3; }
  .label { flex-wrap: wrap; column-gap: .45rem; }
  .state { display: inline; margin-left: .3rem; }
}
@media print { .axis { position: static; } details > summary { break-inside: avoid; } }
""".strip()
