'use strict'

// The roles of contestants: ours, by default and by other protocols, the peers that it is compared with, and those that
// only show a limit.

const OURS = '@locket/native'

const isOurs = ({ name }) => name === OURS

/** Returns true for ours by another protocol or of another package. It is compared with its rival, and is nobody's peer. */
const isVariant = ({ rival }) => rival !== undefined

/** Returns true for locks of files. The others lock only memory, or are the floor. */
const locksFile = ({ kind }) => kind === 'kernel' || kind === 'file'

/** Why a contestant has no figures. */
const obstacle = ({ cannot, failed }) => (failed ? `failed: ${failed}` : cannot)

/** Its name, with what sets it apart from a file lock. */
const label = ({ name, kind }) => (kind === 'memory' ? `${name} (no file)` : name)

/** The measure by which the contestants of a row are ranked. */
const headline = (measures) => measures.find(({ better }) => better !== 'none') ?? measures[0]

const medianOf = ({ summary }, { id }) => summary?.[id]?.median

/** Sorts contestants best first. */
function byMeasure(measure) {
  const sign = measure.better === 'higher' ? -1 : 1
  const key = (contestant) => sign * (medianOf(contestant, measure) ?? sign * Infinity)
  return (a, b) => (key(a) === key(b) ? 0 : key(a) - key(b))
}

/** Those with figures, best first. */
const ranked = ({ contestants, measures }) =>
  contestants.filter((contestant) => !obstacle(contestant)).sort(byMeasure(headline(measures)))

/** Those without: who failed, then who cannot. */
const unranked = ({ contestants }) => [
  ...contestants.filter(({ failed }) => failed),
  ...contestants.filter(({ failed, cannot }) => cannot && !failed),
]

/** Returns true for what a Node program can use instead of ours. Another language has no event loop to return to. */
const isPeer = (contestant) =>
  locksFile(contestant) && !isOurs(contestant) && !isVariant(contestant) && contestant.runtime === undefined

/** What ours, or a variant of it, is compared with: the variant's rival, or the peer that did best over the run. */
function opponentOf({ rival }, contestants, measure) {
  if (measure.better === 'none') return undefined
  return contestants
    .filter((each) => (rival === undefined ? isPeer(each) : each.name === rival))
    .filter((each) => !obstacle(each) && medianOf(each, measure) !== undefined)
    .sort(byMeasure(measure))[0]
}

module.exports = {
  OURS,
  headline,
  isOurs,
  isVariant,
  label,
  locksFile,
  medianOf,
  obstacle,
  opponentOf,
  ranked,
  unranked,
}
