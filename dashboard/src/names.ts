// Skill names are untrusted input. Makes invisible and bidirectional control characters visible as code points.

export type NamePart = { text: string } | { hidden: string };

// Format characters, separators, unassigned and private code points, and letters without a glyph. Joiners stay where
// they join: in emoji and in scripts that need them.
const HIDDEN =
  /[\p{Cf}\p{Cc}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}\u115f\u1160\u2800\u3164\uffa0]|[\u034f]|[\u17b4]|[\u17b5]|[\u180b-\u180f]|[^\P{Zs} ]/u;
const JOINERS = /[\u200c\u200d]/u;
const JOINABLE = /[^\p{Cf}\p{ASCII}\p{Z}]/u;

function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

function isHidden(characters: string[], index: number): boolean {
  const character = characters[index] ?? '';
  if (character === ' ') {
    // Leading, trailing and repeated spaces cannot be seen.
    return index === 0 || index === characters.length - 1 || characters[index - 1] === ' ';
  }
  if (!HIDDEN.test(character)) return false;
  return !(
    JOINERS.test(character) &&
    JOINABLE.test(characters[index - 1] ?? '') &&
    JOINABLE.test(characters[index + 1] ?? '')
  );
}

/** Splits a name into visible text and the code points of invisible characters. */
export function nameParts(name: string): NamePart[] {
  const characters = [...name];
  const parts: NamePart[] = [];
  let text = '';
  characters.forEach((character, index) => {
    if (!isHidden(characters, index)) {
      text += character;
      return;
    }
    if (text) parts.push({ text });
    text = '';
    parts.push({ hidden: codePoint(character) });
  });
  if (text) parts.push({ text });
  return parts;
}

/** The name as plain text, for tooltips, titles and screen readers. */
export function plainName(name: string): string {
  return nameParts(name)
    .map((part) => ('text' in part ? part.text : `[${part.hidden}]`))
    .join('');
}
