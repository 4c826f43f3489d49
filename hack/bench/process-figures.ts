// What a running process costs, from /proc: memory as shared and private, CPU time.
import { readFileSync } from 'node:fs';

export interface Memory {
  rssMb: number;
  pssMb: number;
  /** Pages that no other process maps: what one more sidecar costs a node. */
  privateMb: number;
}

/** From smaps_rollup (Linux ≥ 4.14). */
export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const mb = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024;
  return {
    rssMb: mb('Rss'),
    pssMb: mb('Pss'),
    privateMb: mb('Private_Clean') + mb('Private_Dirty'),
  };
}

/** User and system time in seconds; the kernel counts in ticks of 10 ms. */
export function cpuSecondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** A row of a Markdown table. */
export function row(...cells: (string | number)[]): string {
  const texts = cells.map((cell) => (typeof cell === 'number' ? round(cell) : cell));
  return `| ${texts.join(' | ')} |`;
}

function round(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}
