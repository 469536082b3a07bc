// A filter in words: `val_dice > 0.9 and loss.sqrt_epsilon <= 1e-6`, `diverged or epochs < 5`.

class FilterError extends Error {}

const TOKEN = /\s*(?:(<=|>=|!=|==|=|<|>|≤|≥|≠|\(|\)|,)|"([^"]*)"|'([^']*)'|([^\s<>=!()",≤≥≠]+))/y;
const SAME = { "≤": "<=", "≥": ">=", "==": "=", "≠": "!=" };
const OPERATORS = {
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  "=": (a, b) => a === b, "!=": (a, b) => a !== b,
};

/** The parts of a filter. A name may have spaces and signs: `best at`, `P(best)`. */
function tokens(text, names) {
  const found = [], odd = [...names].filter((name) => /[\s<>=!()",≤≥≠]/.test(name)).sort((a, b) => b.length - a.length);
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim()) {
    const at = TOKEN.lastIndex, rest = text.slice(at).trimStart();
    const whole = odd.find((name) => rest.slice(0, name.length).toLowerCase() === name.toLowerCase() && !/^[\p{L}\p{N}_.]/u.test(rest.slice(name.length)));
    if (whole) {
      found.push({ word: whole });
      TOKEN.lastIndex = text.length - rest.length + whole.length;
      continue;
    }
    const match = TOKEN.exec(text);
    if (!match) throw new FilterError(`cannot read “${text.slice(at).trim()}”`);
    const [, sign, double, single, word] = match;
    found.push(sign ? { sign: SAME[sign] ?? sign } : word !== undefined ? { word } : { quoted: double ?? single });
  }
  return found;
}

/** The name that is most like `word`, if any begins or ends like it or differs in little. */
function likely(word, names) {
  const small = word.toLowerCase();
  const near = (name) => {
    const other = name.toLowerCase();
    if (Math.min(small.length, other.length) > 1 && (other.includes(small) || small.includes(other))) return 0;
    let row = Array.from({ length: other.length + 1 }, (_, n) => n);  // Levenshtein's distance
    for (let i = 1; i <= small.length; i += 1) {
      const next = [i];
      for (let j = 1; j <= other.length; j += 1) {
        next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (small[i - 1] !== other[j - 1]));
      }
      row = next;
    }
    return row[other.length];
  };
  const [best] = [...names].sort((a, b) => near(a) - near(b));
  return best !== undefined && near(best) <= word.length / 3 ? best : null;
}

/**
 * What a filter keeps, as a function of a trial's id.
 *
 * `columns`: name → {kind, of: Map(id → value)}; a column has all the names that it may be called by.
 * A bare word is a status, a preset or a trial. An empty cell passes no comparison but `!=`.
 * Throws FilterError with a sentence about what is wrong.
 */
function parseFilter(text, columns) {
  const all = tokens(text, columns.keys());
  let at = 0;
  const peek = (word) => all[at]?.word?.toLowerCase() === word;
  const sign = (text) => all[at]?.sign === text && ((at += 1), true);

  function either() {
    let left = both();
    while (peek("or")) { at += 1; const a = left, b = both(); left = (id) => a(id) || b(id); }
    return left;
  }
  function both() {
    let left = one();
    while (peek("and")) { at += 1; const a = left, b = one(); left = (id) => a(id) && b(id); }
    return left;
  }
  function one() {
    if (peek("not")) { at += 1; const a = one(); return (id) => !a(id); }
    if (sign("(")) {
      const inside = either();
      if (!sign(")")) throw new FilterError("a bracket is not closed");
      return inside;
    }
    return comparison();
  }
  function comparison() {
    const token = all[at];
    if (!token) throw new FilterError(at ? "something must follow at the end" : "the filter is empty");
    if (token.sign) throw new FilterError(`a name must stand before “${token.sign}”`);
    at += 1;
    const name = token.word ?? token.quoted;
    const operator = all[at]?.sign;
    if (peek("in")) { at += 1; return among(column(name), name); }
    if (!(operator in OPERATORS)) return known(name);
    at += 1;
    const found = column(name);
    const compare = OPERATORS[operator], wanted = value(found, name, operator);
    return (id) => {
      const own = found.of.get(id) ?? null;
      return own === null ? operator === "!=" : compare(cell(own), wanted);
    };
  }
  function among(found, name) {
    if (!sign("(")) throw new FilterError(`after “${name} in” must stand a list in brackets, such as (1, 2)`);
    const wanted = new Set();
    do wanted.add(value(found, name, "in")); while (sign(","));
    if (!sign(")")) throw new FilterError("the list after “in” is not closed");
    return (id) => wanted.has(cell(found.of.get(id) ?? null));
  }
  function column(name) {
    const found = columns.get(name) ?? columns.get(name.toLowerCase());
    if (found) return found;
    const meant = likely(name, columns.keys());
    throw new FilterError(`“${name}” is not a column${meant ? `; did you mean “${meant}”?` : ""}`);
  }
  function value(found, name, operator) {
    const token = all[at];
    const text = token?.word ?? token?.quoted;
    if (text === undefined) throw new FilterError(`a value must follow “${name} ${operator}”`);
    at += 1;
    const wanted = cell(text);
    if (found.kind === "number" && typeof wanted !== "number") {
      throw new FilterError(`“${name}” has numbers, and “${text}” is none`);
    }
    if (/[<>]/.test(operator) && found.kind !== "number") {
      throw new FilterError(`“${name}” has words, which “${operator}” cannot compare; use “=”`);
    }
    return wanted;
  }
  /** A bare word: a status, a preset or a trial. */
  function known(name) {
    const wanted = cell(name);
    const places = ["status", "trial_id", "preset"].map((key) => columns.get(key)).filter(Boolean);
    const words = new Set(places.flatMap(({ of }) => [...of.values()].filter((v) => v !== null).map(cell)));
    if (!words.has(wanted)) {
      if (columns.has(name)) throw new FilterError(`after “${name}” must stand <, <=, =, !=, >=, > or in`);
      const meant = likely(name, [...words, ...columns.keys()]);
      throw new FilterError(`no trial is “${name}”${meant ? `; did you mean “${meant}”?` : ""}`);
    }
    return (id) => places.some(({ of }) => cell(of.get(id) ?? null) === wanted);
  }
  const keeps = either();
  if (at < all.length) {
    const { word, quoted, sign: mark } = all[at];
    throw new FilterError(`“${word ?? quoted ?? mark}” is one too many; join conditions by “and” or “or”`);
  }
  return keeps;
}

/**
 * What is compared: a number, also where a column has words beside it; of words neither their case
 * counts, nor whether it is `early-stopped` or `early_stopped`.
 */
function cell(value) {
  if (typeof value !== "string") return value;
  const number = value.trim() ? Number(value.replace("−", "-")) : NaN;
  return Number.isNaN(number) ? value.toLowerCase().replaceAll("_", "-") : number;
}
