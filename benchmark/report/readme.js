'use strict'

// The sections of README files that are made of results.json: no figure in them is typed by hand.

const { charts } = require('./charts.js')
const { circumstancesText, curveSection, overviewTable, picture, rowSection } = require('./markdown.js')

/** What stands between the two comments is replaced. */
const SECTION = /(<!-- benchmark:(summary|report) -->\n)[\s\S]*?(<!-- \/benchmark -->)/g

const SUMMARY_CHARTS = ['hand-over', 'throughput', 'waiters']

const SECTIONS = {
  /** For the package's README: the charts, and ours against the best. */
  summary(results, folder) {
    const drawn = charts(results).filter(({ id }) => SUMMARY_CHARTS.includes(id))
    return [
      ...drawn.map((chart) => picture(chart, folder)),
      overviewTable(results),
      circumstancesText(results.measured),
    ]
  },
  /** For the benchmark's README: every figure. */
  report(results, folder) {
    const drawn = charts(results)
    const pictureOf = (id) => drawn.filter((chart) => chart.id === id).map((chart) => picture(chart, folder))[0]
    return [
      circumstancesText(results.measured),
      overviewTable(results),
      ...results.rows.map(rowSection),
      ...results.curves.map((curve) => curveSection(curve, pictureOf(`scaling-${curve.id}`))),
    ]
  },
}

/**
 * `text` of a README with its sections made anew.
 *
 * @param folder where the charts are, seen from the README.
 * @throws {Error} if there is no section: its figures would stay what they were.
 */
function rewrite(text, results, folder) {
  let count = 0
  const rewritten = text.replace(SECTION, (_, begin, name, end) => {
    count++
    return `${begin}\n${SECTIONS[name](results, folder).join('\n\n')}\n\n${end}`
  })
  if (count === 0) throw new Error('there is no section <!-- benchmark:summary --> or <!-- benchmark:report -->')
  return rewritten
}

module.exports = { rewrite }
