// Says what the tools in hack/ are doing, step by step, with times. Output goes to standard error,
// so that a command's own result on standard output stays clean.

const started = performance.now();

/** Runs one step: its name when it begins, its time when it ends. An error is passed on. */
export async function step<T>(name: string, action: () => Promise<T>): Promise<T> {
  const began = performance.now();
  say(`▸ ${name}`);
  try {
    const result = await action();
    say(`✓ ${name} (${seconds(performance.now() - began)})`);
    return result;
  } catch (error) {
    say(`✗ ${name} (${seconds(performance.now() - began)})`);
    throw error;
  }
}

/** One line, with the time since the command began. */
export function say(line: string): void {
  process.stderr.write(`${seconds(performance.now() - started).padStart(8)}  ${line}\n`);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
