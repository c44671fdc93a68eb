// The board: joins a drawing, the stage and the state of the user interface. Owns what tools and buttons share; every
// edit goes through `edit`, so that a refused one is told to the user and never breaks a gesture.

import type { Drawing, View, ViewObject } from "../revcast.js";
import type { Camera } from "../scene/camera.js";
import { type Box, union } from "../scene/geometry.js";
import { FIRST } from "../scene/order.js";
import type { Entry } from "../scene/scene.js";
import type { PaintEnv } from "../scene/shape.js";
import type { Stage } from "../scene/stage.js";
import { createTools } from "../tools/all.js";
import { paintFocus } from "../tools/focus-mark.js";
import { paintOthers, paintSelection } from "../tools/marks.js";
import type { Tool } from "../tools/tool.js";
import { Texts } from "./texts.js";
import { mayEdit, type ToolName, type Ui, type UiStore } from "./ui.js";
import { wordsOf } from "./words.js";

/** How long a notice stays, in milliseconds, and how much longer for each character that makes it a long one. */
const NOTICE_FOR = 4_500;
const NOTICE_PER_CHARACTER = 60;
const SHORT_NOTICE = 60;
const UNIT_CLOSED =
  "This began too long ago to be one step: an undo takes back only what you do from now on.";

/** What is selected and there, for a selection and the objects of a view. */
interface Chosen {
  readonly selection: readonly string[];
  readonly objects: readonly ViewObject[];
  /** From the back to the front. */
  readonly entries: readonly Entry[];
  readonly box: Box | undefined;
}

export class Board {
  readonly texts: Texts;
  readonly #tools: ReturnType<typeof createTools>;
  readonly #ends: (() => void)[] = [];
  #past: View | undefined;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;
  #hasFitted = false;
  /** The tool that a key or a button of the mouse has put in place of the chosen one. */
  #held: Tool | undefined;
  #chosen: Chosen | undefined;
  /** Whether something may be gone that is selected. */
  #mayBeGone = false;
  /** Of what it is known whether anything is in view. */
  #seen: { readonly camera: Camera; readonly objects: readonly ViewObject[] } | undefined;
  /** Ends the gesture that is under way as if it had not been. Returns whether there was one. */
  abandon: () => boolean = () => false;
  /** Whether a gesture is under way. */
  isBusy: () => boolean = () => false;

  constructor(
    readonly drawing: Drawing,
    readonly ui: UiStore,
    readonly stage: Stage,
  ) {
    this.#tools = createTools(this);
    this.texts = new Texts(this);
    stage.overlay = {
      paint: (ctx, env) => this.#paint(ctx, env),
      marks: (ctx, camera) => this.#marks(ctx, camera),
    };
    this.#ends.push(
      drawing.onChange(() => this.#changed()),
      drawing.onPresence(() => stage.touch()),
      drawing.onRole(() => this.#roleChanged()),
      drawing.onUnitClosed(() => this.notify(UNIT_CLOSED)),
      drawing.onConnection((state) => {
        if (state === "outdated") this.#roleChanged();
      }),
      drawing.onError((error) => {
        // That it goes on trying is what the badges say.
        if (!error.retryable && error.code !== "AUTH_FAILED") this.notify(wordsOf(error));
      }),
      stage.onCamera(({ zoom }) => ui.setState({ zoom })),
      stage.onFrame(() => {
        this.#dropGone();
        return this.#lookAbout();
      }),
      ui.subscribe((now, before) => this.#uiChanged(now, before)),
    );
    this.#changed();
  }

  /** Whether the user may draw now. */
  get canEdit(): boolean {
    const { role, connection } = this.drawing;
    return mayEdit(role, connection) && this.isNow;
  }

  /** Whether the drawing is shown as it is, and not as it was. */
  get isNow(): boolean {
    return this.#past === undefined;
  }

  get isOwner(): boolean {
    return this.drawing.role === "owner" && this.isNow;
  }

  get tool(): Tool {
    return this.#held ?? this.#tools[this.canEdit ? this.ui.getState().tool : "hand"];
  }

  hold(tool: ToolName | undefined): void {
    this.#held = tool === undefined ? undefined : this.#tools[tool];
  }

  get view(): View {
    return this.#past ?? this.drawing.view();
  }

  /** Shows this in place of the drawing; nothing can be edited meanwhile. */
  showPast(view: View | undefined): void {
    if (this.#past === undefined && view !== undefined) {
      this.abandon();
      this.select([]);
    }
    this.#past = view;
    this.stage.viewChanged(() => this.view);
  }

  /** Does something to the drawing. A refusal becomes a notice; the result is then `undefined`. */
  edit<T>(change: () => T): T | undefined {
    if (this.#past !== undefined) return undefined;
    // Who draws before all is there would see the picture jump under the pen.
    this.#hasFitted = true;
    try {
      return change();
    } catch (error) {
      this.notify(wordsOf(error));
      return undefined;
    } finally {
      // Of many ops the drawing tells at the end of the task; who has made them looks at once.
      this.#changed();
    }
  }

  notify(notice: string): void {
    clearTimeout(this.#noticeTimer);
    this.ui.setState({ notice });
    const duration = NOTICE_FOR + NOTICE_PER_CHARACTER * Math.max(0, notice.length - SHORT_NOTICE);
    this.#noticeTimer = setTimeout(() => this.ui.setState({ notice: undefined }), duration);
  }

  select(selection: readonly string[]): void {
    const before = this.ui.getState().selection;
    if (before.length === selection.length && before.every((id, nth) => id === selection[nth])) return;
    this.ui.setState({ selection });
  }

  /** The ids of what is selected and still there. */
  get selection(): readonly string[] {
    this.#dropGone();
    return this.ui.getState().selection;
  }

  /** What is selected and still there, from the back to the front. */
  selected(): readonly Entry[] {
    return this.#choice().entries;
  }

  selectionBox(): Box | undefined {
    return this.#choice().box;
  }

  /** The `z` of a new object: that of the foremost one, for of equals the later one is in front. */
  topZ(): string {
    const { objects } = this.drawing.view();
    return objects[objects.length - 1]?.z || FIRST;
  }

  setTool(tool: Ui["tool"]): void {
    this.ui.setState({ tool, isStyleOpen: false });
  }

  /** Shows the whole drawing once it is loaded, and before that what waits to be sent; never under somebody's pen. */
  #fitOnce(): void {
    if (this.#hasFitted) return;
    this.stage.sync();
    this.stage.fit(false);
    this.#hasFitted = this.drawing.loaded;
  }

  close(): void {
    this.abandon();
    clearTimeout(this.#noticeTimer);
    this.texts.close();
    for (const end of this.#ends) end();
  }

  /** Asked in every frame, of as many objects as there are: made anew only when one of them, or which they are, changes. */
  #choice(): Chosen {
    this.stage.sync();
    const { scene } = this.stage;
    const { selection } = this.ui.getState();
    if (this.#chosen?.selection === selection && this.#chosen.objects === scene.objects) return this.#chosen;
    const entries = selection.flatMap((id) => scene.entry(id) ?? []).sort((a, b) => a.order - b.order);
    const box = union(entries.map((entry) => entry.box));
    this.#chosen = { selection, objects: scene.objects, entries, box };
    return this.#chosen;
  }

  /** What is seen now is looked at when somebody asks, and in the next frame: an edit of thousands takes its time already. */
  #changed(): void {
    this.stage.viewChanged(() => this.view);
    this.#fitOnce();
    this.#mayBeGone = true;
  }

  #dropGone(): void {
    if (!this.#mayBeGone) return;
    this.#mayBeGone = false;
    const { selection } = this.ui.getState();
    if (selection.length === 0) return;
    this.stage.sync();
    const there = selection.filter((id) => this.stage.scene.entry(id) !== undefined);
    if (there.length < selection.length) this.select(there);
  }

  /** Tells whether anything is in view: looked for again only when the camera or the drawing is another one. */
  #lookAbout(): boolean {
    const { camera, scene, viewport } = this.stage;
    const seen = this.#seen;
    if (seen?.camera === camera && seen.objects === scene.objects) return false;
    this.#seen = { camera, objects: scene.objects };
    const isAstray = scene.size > 0 && !scene.isAnyIn(viewport);
    if (isAstray !== this.ui.getState().isAstray) this.ui.setState({ isAstray });
    return false;
  }

  /** The user may do something else than before. */
  #roleChanged(): void {
    if (!this.canEdit) {
      this.abandon();
      this.select([]);
      this.ui.setState({ writing: undefined });
    }
    this.stage.touch();
  }

  #uiChanged(now: Ui, before: Ui): void {
    if (now.tool !== before.tool) {
      this.abandon();
      if (now.tool !== "select") this.select([]);
    }
    if (now.selection !== before.selection || now.focused !== before.focused) this.stage.touch();
    const { focused, selection } = now;
    const isLeft = selection !== before.selection && focused === before.focused && focused !== undefined;
    if (isLeft && !selection.includes(focused)) this.ui.setState({ focused: undefined });
    if (now.writing?.objectId !== before.writing?.objectId) {
      const id = now.writing?.objectId;
      this.stage.lift(new Set(id === undefined ? [] : [id]));
    }
  }

  #paint(ctx: CanvasRenderingContext2D, env: PaintEnv): void {
    for (const tool of Object.values(this.#tools)) tool.paint?.(ctx, env);
  }

  #marks(ctx: CanvasRenderingContext2D, camera: Camera): void {
    if (this.#past === undefined) paintOthers(ctx, camera, this);
    if (this.canEdit) {
      paintSelection(ctx, camera, this);
      this.tool.marks?.(ctx, camera);
    }
    paintFocus(ctx, camera, this);
  }
}
