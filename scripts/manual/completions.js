'use strict'

// The completions of the command in bash, zsh and fish: its options before FILE, then files, then those of COMMAND.

const { ALL } = require('./options.js')

const HEADER = (shell) => `# Completions of locket(1) in ${shell}. Made by scripts/manual.js.`

/** Returns the text as one word of a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`

const longOf = ({ names }) => names.filter((each) => each.startsWith('--'))
const shortOf = ({ names }) => names.filter((each) => !each.startsWith('--'))

/** `-c LINE` comes after FILE, where the words of COMMAND are completed. */
const BEFORE_FILE = ALL.filter(({ name }) => name !== 'command')

/** A regular expression for the words whose value is the next word: `-w`, `-nw`, `--timeout`. */
const TAKES_NEXT = (() => {
  const options = BEFORE_FILE.filter(({ value }) => value !== undefined)
  const letters = options.flatMap(shortOf).map((name) => name.slice(1))
  return `^(-[A-Za-z]*[${letters.join('')}]|${options.flatMap(longOf).join('|')})$`
})()

function bash() {
  const choices = BEFORE_FILE.filter((option) => option.choices).map(
    ({ names, choices }) => `    ${names.join('|')}) words=${quoted(choices.join(' '))} ;;`,
  )
  return `${HEADER('bash')}

_locket() {
  local index word=\${COMP_WORDS[COMP_CWORD]} words= takes_next=${quoted(TAKES_NEXT)}
  # The first word that is neither an option nor the value of one is FILE. The command follows.
  for ((index = 1; index < COMP_CWORD; index++)); do
    if [[ \${COMP_WORDS[index]} =~ $takes_next ]]; then
      ((index++))
    elif [[ \${COMP_WORDS[index]} != -?* ]]; then
      ((index++))
      [[ \${COMP_WORDS[index]} == -- ]] && ((index < COMP_CWORD)) && ((index++))
      if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$index"
      elif declare -F _command_offset >/dev/null; then
        _command_offset "$index"
      elif ((index == COMP_CWORD)); then
        COMPREPLY=($(compgen -c -- "$word"))
      fi
      return
    fi
  done
  case \${COMP_WORDS[COMP_CWORD - 1]} in
${choices.join('\n')}
    *)
      # The value of an option is not known.
      ((index > COMP_CWORD)) && return
      [[ $word == -* ]] && words=${quoted(BEFORE_FILE.flatMap(({ names }) => names).join(' '))}
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}

complete -o default -F _locket locket
`
}

/** Text within the brackets of an option of _arguments. */
const inBrackets = (text) => text.replace(/[[\]\\]/g, '\\$&')

function zsh() {
  const specs = BEFORE_FILE.map(({ names, value, choices, summary }) => {
    const excludes = names.length > 1 ? `(${names.join(' ')})` : ''
    const action = value === undefined ? '' : `:${value}:${choices ? `(${choices.join(' ')})` : ' '}`
    return names.map((name) => {
      const joined = value === undefined ? '' : name.startsWith('--') ? '=' : '+'
      return `  ${quoted(`${excludes}${name}${joined}[${inBrackets(summary)}]${action}`)}`
    })
  })
  return `#compdef locket
${HEADER('zsh')}

_locket_command() {
  [[ $words[1] == -- ]] && (( CURRENT > 1 )) && { shift words; (( CURRENT-- )) }
  if (( CURRENT == 1 )); then _command_names -e; else _normal; fi
}

_arguments -s -S -A '-*' : \\
${specs.flat().join(' \\\n')} \\
  ':lock file:_files' \\
  '*:::command:_locket_command'
`
}

function fish() {
  const lines = BEFORE_FILE.map((option) => {
    const long = longOf(option).map((name) => `-l ${name.slice(2)}`)
    const short = shortOf(option).map((name) => `-s ${name.slice(1)}`)
    const value = option.value === undefined ? [] : ['-x']
    const choices = option.choices ? [`-a ${quoted(option.choices.join(' '))}`] : []
    const parts = [...short, ...long, ...value, ...choices, `-d ${quoted(option.summary)}`]
    return `complete -c locket -n 'not __locket_file' ${parts.join(' ')}`
  })
  return `${HEADER('fish')}

# Prints the words after FILE, and succeeds, if FILE is there before the cursor.
function __locket_file
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        if string match -qr -- ${quoted(TAKES_NEXT)} $words[1]
            set -e words[1]
        else if not string match -q -- '-?*' $words[1]
            set -e words[1]
            test "$words[1]" = --; and set -e words[1]
            string join -- \\n $words
            return 0
        end
        set -e words[1]
    end
    return 1
end

function __locket_command
    complete -C (string join ' ' -- (string escape -- (__locket_file)) (commandline -ct))
end

${lines.join('\n')}
complete -c locket -n __locket_file -f -a '(__locket_command)'
`
}

module.exports = { bash, fish, zsh }
