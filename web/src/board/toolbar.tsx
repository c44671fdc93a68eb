// The toolbar: the tools, and how they draw.

import {
  Circle,
  Eraser,
  Hand,
  Image,
  type LucideIcon,
  MousePointer2,
  MoveUpRight,
  Pencil,
  Square,
  Type,
} from "lucide-react";
import { pickImage } from "../tools/image.js";
import type { Board } from "./board.js";
import { StylePanel } from "./style-panel.js";
import { TOOLS, type ToolName, useUi } from "./ui.js";
import { useShownColour } from "./use-look.js";

const LOOKS: Record<ToolName, { readonly label: string; readonly key: string; readonly Icon: LucideIcon }> = {
  select: { label: "Select", key: "V", Icon: MousePointer2 },
  hand: { label: "Move around", key: "H", Icon: Hand },
  pen: { label: "Pen", key: "P", Icon: Pencil },
  rect: { label: "Rectangle", key: "R", Icon: Square },
  ellipse: { label: "Ellipse", key: "O", Icon: Circle },
  arrow: { label: "Arrow", key: "A", Icon: MoveUpRight },
  text: { label: "Text", key: "T", Icon: Type },
  image: { label: "Image", key: "I", Icon: Image },
  eraser: { label: "Eraser", key: "E", Icon: Eraser },
};

export function Toolbar({ board, canEdit }: { board: Board; canEdit: boolean }) {
  const chosen = useUi(board.ui, (ui) => ui.tool);
  const colour = useShownColour(board);
  const isStyleOpen = useUi(board.ui, (ui) => ui.isStyleOpen);
  const tool = canEdit ? chosen : "hand";
  const tools = canEdit ? TOOLS : (["hand"] as const);
  return (
    <>
      {canEdit && isStyleOpen && <StylePanel board={board} />}
      <div className="toolbar panel" role="toolbar" aria-label="Tools">
        {tools.map((name) => {
          const { label, key, Icon } = LOOKS[name];
          return (
            <button
              key={name}
              type="button"
              className="tool"
              aria-label={label}
              aria-pressed={tool === name}
              aria-keyshortcuts={key}
              title={`${label} — ${key}`}
              data-testid={`tool-${name}`}
              onClick={() => {
                board.setTool(name);
                if (name === "image") pickImage(board);
              }}
            >
              <Icon aria-hidden="true" />
            </button>
          );
        })}
        {canEdit && (
          <button
            type="button"
            className="tool swatch-button"
            aria-label="Colour and width"
            aria-expanded={isStyleOpen}
            title="Colour and width"
            data-testid="style-button"
            onClick={() => board.ui.setState({ isStyleOpen: !isStyleOpen })}
          >
            <span
              className={colour === undefined ? "swatch mixed" : "swatch"}
              style={{ backgroundColor: colour }}
            />
          </button>
        )}
      </div>
    </>
  );
}
