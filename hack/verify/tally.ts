// Counts what passed and failed over all steps of a verification, and says it as it happens.
import { run } from '../lib/command.ts';
import { repository } from '../lib/paths.ts';
import { step } from '../lib/steps.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

export class Tally {
  #passed = 0;
  #failed = 0;
  readonly #failures: string[] = [];

  /** Something ran, and nothing failed. */
  get good(): boolean {
    return this.#failed === 0 && this.#passed > 0;
  }

  add(name: string, counts: Counts): void {
    this.#passed += counts.passed;
    this.#failed += counts.failed;
    if (counts.failed > 0) this.#failures.push(name);
  }

  /** A step that counts as one; a failure is told in full and does not end the run. */
  async action(name: string, action: () => Promise<void>): Promise<boolean> {
    try {
      await step(name, action);
      this.add(name, { passed: 1, failed: 0 });
      return true;
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
      this.add(name, { passed: 0, failed: 1 });
      return false;
    }
  }

  /** A program whose exit code decides. */
  command(name: string, command: string, args: readonly string[]): Promise<boolean> {
    return this.action(name, async () => {
      const { code, stdout, stderr } = await run(command, args, { cwd: repository });
      if (code !== 0) throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`);
    });
  }

  /** The last line of every run. */
  print(): void {
    if (this.#failures.length > 0) console.log(`failed: ${this.#failures.join('; ')}`);
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
  }
}
