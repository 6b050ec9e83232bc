/** The text, padded on the left to that length. */
export function pad(text: string, length: number, fill = " "): string {
  return fill.repeat(Math.max(0, length - text.length)) + text;
}
