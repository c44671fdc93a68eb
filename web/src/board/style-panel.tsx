// Colour, width, filling: of what is selected, or else of what is drawn next.

import { useEffect, useRef } from "react";
import type { JsonObject, ViewObject } from "../revcast.js";
import { INK } from "../scene/props.js";
import { colourOf, widthOf } from "../tools/change.js";
import { restyle } from "./actions.js";
import type { Board } from "./board.js";
import { COLOURS, useUi, WIDTHS } from "./ui.js";
import { useSelectionLook } from "./use-look.js";

export function StylePanel({ board }: { board: Board }) {
  const { ui } = board;
  const look = useSelectionLook(board);
  const next = useUi(ui, (state) => state);
  const hasSelection = look !== undefined;
  const { colour, width, isFilled } = look ?? next;

  const setColour = (value: string) => {
    if (hasSelection) restyle(board, (object) => colourOf(object, value));
    else ui.setState({ colour: value });
  };
  const setWidth = (value: number) => {
    if (hasSelection) restyle(board, (object) => widthOf(object, value));
    else ui.setState({ width: value });
  };
  const setFilled = (is: boolean) => {
    if (hasSelection) restyle(board, (object) => fillOf(object, is));
    else ui.setState({ isFilled: is });
  };
  return (
    <section
      className="style panel"
      aria-label={hasSelection ? "Colour and width of the selection" : "Colour and width"}
      data-testid="style-panel"
    >
      {colour !== undefined && (
        <fieldset className="swatches">
          <legend className="sr-only">Colour</legend>
          {COLOURS.map(({ value, name }) => (
            <button
              key={value}
              type="button"
              className="swatch-button"
              aria-label={name}
              aria-pressed={value === colour}
              title={name}
              data-testid={`colour-${value.slice(1)}`}
              onClick={() => setColour(value)}
            >
              <span className="swatch" style={{ backgroundColor: value }} />
            </button>
          ))}
          <AnyColour
            colour={colour === "mixed" ? undefined : colour}
            onPick={(value) => {
              // A selection is changed once, and not by each colour on the way.
              if (!hasSelection) ui.setState({ colour: value });
            }}
            onDone={setColour}
          />
        </fieldset>
      )}
      {width !== undefined && (
        <fieldset className="widths">
          <legend className="sr-only">Width</legend>
          {WIDTHS.map(({ value, name }) => (
            <button
              key={value}
              type="button"
              className="tool"
              aria-label={name}
              aria-pressed={value === width}
              title={name}
              data-testid={`width-${value}`}
              onClick={() => setWidth(value)}
            >
              <span className="line" style={{ height: Math.max(2, Math.min(14, value)) }} />
            </button>
          ))}
        </fieldset>
      )}
      <div className="switches">
        {isFilled !== undefined && <Switch label="Fill" isOn={isFilled} testId="fill" onChange={setFilled} />}
        {!hasSelection && (
          <>
            <Switch
              label="Highlighter"
              isOn={next.isHighlighter}
              testId="highlighter"
              onChange={(is) => ui.setState({ isHighlighter: is, tool: "pen" })}
            />
            <Switch
              label="Arrow head"
              isOn={next.hasArrowhead}
              testId="arrow-head"
              onChange={(is) => ui.setState({ hasArrowhead: is, tool: "arrow" })}
            />
          </>
        )}
      </div>
      {colour === undefined && width === undefined && isFilled === undefined && (
        <p className="no-style">What is selected has no colour of its own.</p>
      )}
    </section>
  );
}

/** `onPick` while one is looked for, `onDone` with the one that was chosen. */
function AnyColour({
  colour,
  onPick,
  onDone,
}: {
  /** None where there are several. */
  colour: string | undefined;
  onPick: (colour: string) => void;
  onDone: (colour: string) => void;
}) {
  const ref = useRef<HTMLInputElement>(null);
  const done = useRef(onDone);
  done.current = onDone;
  useEffect(() => {
    // React's `onChange` is the event `input`: it comes for every colour on the way.
    const field = ref.current;
    const change = () => field !== null && done.current(field.value);
    field?.addEventListener("change", change);
    return () => field?.removeEventListener("change", change);
  }, []);
  const isCustom = colour !== undefined && COLOURS.every(({ value }) => value !== colour);
  return (
    <label className="swatch-button custom" title="Another colour" data-chosen={isCustom}>
      <span className="swatch" style={isCustom ? { backgroundColor: colour, backgroundImage: "none" } : {}} />
      <input
        ref={ref}
        type="color"
        aria-label="Another colour"
        value={sixDigits(colour)}
        onChange={(event) => onPick(event.target.value)}
      />
    </label>
  );
}

/** A colour as the browser's field takes it; others are shown beside it only. */
function sixDigits(colour: string | undefined): string {
  return colour !== undefined && /^#[0-9a-f]{6}$/.test(colour) ? colour : COLOURS[0].value;
}

function Switch({
  label,
  isOn,
  testId,
  onChange,
}: {
  label: string;
  isOn: boolean | "mixed";
  testId: string;
  onChange: (is: boolean) => void;
}) {
  return (
    <label className="switch">
      <input
        type="checkbox"
        role="switch"
        aria-checked={isOn === true}
        checked={isOn === true}
        onChange={(event) => onChange(event.target.checked)}
        data-mixed={isOn === "mixed"}
        data-testid={testId}
      />
      <span>{label}</span>
    </label>
  );
}

function fillOf({ kind, props }: ViewObject, isFilled: boolean): JsonObject {
  if (kind !== "rect" && kind !== "ellipse") return {};
  const stroke = typeof props.stroke === "string" ? props.stroke : INK;
  const isPlain = /^#[0-9a-f]{6}$/i.test(stroke);
  return { stroke, fill: isFilled ? (isPlain ? `${stroke}33` : stroke) : "none" };
}
