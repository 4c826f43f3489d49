// A map that is written in place and read through frozen copies: a copy is made only when something
// changed since the last one. And an index on top of it: several values under one name, in order.

export class CopyMap<V> {
  readonly #current = new Map<string, V>();
  #copy: ReadonlyMap<string, V> | null = null;

  get(key: string): V | undefined {
    return this.#current.get(key);
  }

  /** Null deletes. */
  put(key: string, value: V | null): void {
    this.#copy = null;
    if (value === null) this.#current.delete(key);
    else this.#current.set(key, value);
  }

  snapshot(): ReadonlyMap<string, V> {
    this.#copy ??= new Map(this.#current);
    return this.#copy;
  }
}

interface Item<V> {
  owner: string;
  value: V;
}

/** Values under names, each put there by an owner; an owner's values are replaced together. */
export class Index<V> {
  readonly #lists = new Map<string, Item<V>[]>();
  readonly #values = new CopyMap<readonly V[]>();
  readonly #namesOf = new Map<string, string[]>();
  readonly #compare: (a: V, b: V) => number;

  constructor(compare: (a: V, b: V) => number) {
    this.#compare = compare;
  }

  get(name: string): readonly V[] {
    return this.#values.get(name) ?? [];
  }

  replace(owner: string, entries: readonly (readonly [name: string, value: V])[]): void {
    for (const name of this.#namesOf.get(owner) ?? []) this.#take(name, owner);
    if (entries.length === 0) this.#namesOf.delete(owner);
    else this.#namesOf.set(owner, [...new Set(entries.map(([name]) => name))]);
    for (const [name, value] of entries) this.#put(name, { owner, value });
  }

  snapshot(): ReadonlyMap<string, readonly V[]> {
    return this.#values.snapshot();
  }

  #take(name: string, owner: string): void {
    this.#store(
      name,
      (this.#lists.get(name) ?? []).filter((item) => item.owner !== owner),
    );
  }

  #put(name: string, item: Item<V>): void {
    const items = [...(this.#lists.get(name) ?? []), item];
    items.sort((a, b) => this.#compare(a.value, b.value));
    this.#store(name, items);
  }

  #store(name: string, items: Item<V>[]): void {
    if (items.length === 0) this.#lists.delete(name);
    else this.#lists.set(name, items);
    this.#values.put(name, items.length === 0 ? null : items.map((item) => item.value));
  }
}
