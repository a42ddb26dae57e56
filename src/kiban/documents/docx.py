"""A paper as .docx for Word and LibreOffice: A4, heading styles, repeated header rows, alternative texts, page numbers.

In: a Paper. Out: bytes, the same for the same paper. No person's name and no clock time stand in the file.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

import typst
from docx import Document
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Emu, Mm, Pt, RGBColor

from kiban.documents.fonts import need_fonts
from kiban.documents.paper import Block, Break, Bullets, Heading, Note, Paper, Paragraph, Passage, Passages, Picture, Table, Wide, writable_paper

BODY, HEAD, LATIN = "游明朝", "游ゴシック", "Century"
INK, GREY, RULE = RGBColor(0x1A, 0x1A, 0x1A), RGBColor(0x59, 0x59, 0x59), "808080"
SHORT, LONG, SIDE, TOP = 210, 297, 22, 24  # A4 in mm, and its margins
PICTURE_PPI = 180.0
LONG_PASSAGE = 700  # letters; a longer text may run over the end of a page
SIGN = "〔鍵 {key}〕"  # how a passage is found again
ALIGN = {"l": WD_ALIGN_PARAGRAPH.LEFT, "r": WD_ALIGN_PARAGRAPH.RIGHT, "c": WD_ALIGN_PARAGRAPH.CENTER}
# Name, size, colour and font of the styles that the template lacks.
OWN_STYLES = (
    ("Cell", 9, INK, BODY),
    ("Cell head", 8.5, INK, HEAD),
    ("Cell fine", 7.5, INK, BODY),
    ("Remark", 8.5, GREY, BODY),
    ("Key", 8, GREY, HEAD),
    ("Gap", 4, GREY, BODY),
)
# One stamp for all parts of the file: a packed file bears no clock time.
STAMP = (1980, 1, 1, 0, 0, 0)


def docx(paper: Paper) -> bytes:
    """The file."""
    writer = _Writer(paper)
    writer.blocks(writer.paper.blocks)
    buffer = io.BytesIO()
    writer.document.save(buffer)
    return _packed(buffer.getvalue())


def _packed(content: bytes) -> bytes:
    """The same parts in the same order with one stamp, so that equal papers are equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as found, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in found.namelist():
            made.writestr(zipfile.ZipInfo(name, STAMP), found.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _child(parent: Any, tag: str, **attributes: str) -> Any:
    made = OxmlElement(tag)
    for name, value in attributes.items():
        made.set(qn(f"w:{name}"), value)
    parent.append(made)
    return made


def _fonts(style: Any, east: str, latin: str = LATIN) -> None:
    """Fonts by name for Latin and Japanese letters; the theme of the template must not win over them."""
    properties = style.element.get_or_add_rPr()
    fonts = properties.get_or_add_rFonts()
    for attribute in list(fonts.attrib):
        del fonts.attrib[attribute]
    for kind, name in (("ascii", latin), ("hAnsi", latin), ("eastAsia", east), ("cs", latin)):
        fonts.set(qn(f"w:{kind}"), name)


class _Writer:
    def __init__(self, paper: Paper) -> None:
        self.paper = writable_paper(paper)
        self.document: Any = Document()
        self.width = SHORT - 2 * SIDE  # mm of text
        self.fresh = False  # the next heading begins a page
        self.style_ids: dict[str, str] = {}
        self._styles()
        self._properties()
        section = self.document.sections[0]
        self._page(section, wide=False)
        self._edges(section)
        self._title()

    # Page and styles

    def _styles(self) -> None:
        styles = self.document.styles
        language = _child(styles.element.find(qn("w:docDefaults")).find(qn("w:rPrDefault")).find(qn("w:rPr")), "w:lang")
        for old in list(language.getparent().findall(qn("w:lang")))[:-1]:
            language.getparent().remove(old)
        language.set(qn("w:val"), "ja-JP")
        language.set(qn("w:eastAsia"), "ja-JP")
        normal = styles["Normal"]
        _fonts(normal, BODY)
        normal.font.size, normal.font.color.rgb = Pt(10.5), INK
        normal.paragraph_format.line_spacing, normal.paragraph_format.space_after = 1.35, Pt(4)
        for name, size, before, after in (("Title", 17, 6, 2), ("Heading 1", 13, 16, 5), ("Heading 2", 11, 11, 3), ("Heading 3", 10.5, 8, 2)):
            style = styles[name]
            _fonts(style, HEAD, "Arial")
            style.font.size, style.font.bold, style.font.italic, style.font.color.rgb = Pt(size), True, False, INK
            form = style.paragraph_format
            form.space_before, form.space_after, form.keep_with_next, form.line_spacing = Pt(before), Pt(after), True, 1.2
            borders = style.element.get_or_add_pPr().find(qn("w:pBdr"))
            if borders is not None:
                borders.getparent().remove(borders)
        border = _child(styles["Heading 1"].element.get_or_add_pPr(), "w:pBdr")
        _child(border, "w:bottom", val="single", sz="6", space="2", color=RULE)
        _ordered(styles["Heading 1"].element.get_or_add_pPr())
        caption = styles["Caption"]
        _fonts(caption, HEAD, "Arial")
        caption.font.size, caption.font.bold, caption.font.color.rgb = Pt(9.5), True, INK
        form = caption.paragraph_format
        form.space_before, form.space_after, form.keep_with_next = Pt(9), Pt(3), True
        for name, size, colour, east in OWN_STYLES:
            style = styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
            style.base_style = normal
            _fonts(style, east, "Arial" if east == HEAD else LATIN)
            style.font.size, style.font.color.rgb = Pt(size), colour
            style.font.bold = name == "Cell head"
            style.paragraph_format.space_after, style.paragraph_format.line_spacing = Pt(2 if name == "Remark" else 0), 1.2
        for name in ("List Bullet", "List Number", "Header", "Footer"):
            _fonts(styles[name], BODY)
            styles[name].paragraph_format.tab_stops.clear_all()
        styles["List Bullet"].paragraph_format.space_after = Pt(2)
        styles["List Number"].paragraph_format.space_after = Pt(2)

    def _properties(self) -> None:
        properties, paper = self.document.core_properties, self.paper
        made = datetime.combine(paper.day, time())
        properties.title, properties.language, properties.subject = f"{paper.title}({paper.town})", "ja-JP", paper.subtitle
        properties.author, properties.last_modified_by, properties.comments, properties.keywords = paper.town, "", paper.label, ""
        properties.created = properties.modified = made
        properties.revision = 1

    def _page(self, section: Any, *, wide: bool) -> None:
        long, short = Mm(LONG), Mm(SHORT)
        section.orientation = WD_ORIENT.LANDSCAPE if wide else WD_ORIENT.PORTRAIT
        section.page_width, section.page_height = (long, short) if wide else (short, long)
        section.left_margin = section.right_margin = Mm(SIDE)
        section.top_margin, section.bottom_margin = Mm(TOP), Mm(20)
        section.header_distance, section.footer_distance = Mm(10), Mm(9)
        self.width = (LONG if wide else SHORT) - 2 * SIDE

    def _edges(self, section: Any) -> None:
        """Header and footer of a section: they are written anew for landscape, where the tab stands elsewhere."""
        for part, left, right in ((section.header, "　".join(self.paper.header), ""), (section.footer, self.paper.footer, "page")):
            part.is_linked_to_previous = False
            line = part.paragraphs[0]
            for run in list(line.runs):
                run._r.getparent().remove(run._r)
            stops = line.paragraph_format.tab_stops
            stops.clear_all()
            self._run(line, left, 8, GREY)
            if right:
                stops.add_tab_stop(Mm(self.width), WD_TAB_ALIGNMENT.RIGHT)
                self._run(line, "\t", 8, GREY)
                self._field(line, "PAGE")
                self._run(line, " / ", 8, GREY)
                self._field(line, "NUMPAGES")

    def _run(self, paragraph: Any, text: str, size: float, colour: RGBColor) -> Any:
        run = paragraph.add_run(text)
        run.font.size, run.font.color.rgb = Pt(size), colour
        return run

    def _field(self, paragraph: Any, name: str) -> None:
        for kind, text in (("begin", ""), ("", name), ("separate", ""), ("shown", "1"), ("end", "")):
            run = self._run(paragraph, "", 8, GREY)
            if kind in ("begin", "separate", "end"):
                _child(run._r, "w:fldChar", fldCharType=kind)
            elif kind == "shown":
                run.text = text
            else:
                _child(run._r, "w:instrText").text = f" {text} "

    def _title(self) -> None:
        paper = self.paper
        if paper.label:
            self._box(paper.label)
        title = self.document.add_paragraph(paper.title, style="Title")
        title.alignment = WD_ALIGN_PARAGRAPH.CENTER
        if paper.subtitle:
            line = self.document.add_paragraph(paper.subtitle)
            line.alignment = WD_ALIGN_PARAGRAPH.CENTER
            line.paragraph_format.space_after = Pt(8)

    # Blocks

    def blocks(self, blocks: Sequence[Block]) -> None:
        for place, block in enumerate(blocks):
            if isinstance(block, Wide):
                section = self.document.add_section(WD_SECTION.NEW_PAGE)
                self._page(section, wide=True)
                self._edges(section)
                self.blocks(block.blocks)
                if place < len(blocks) - 1 and not isinstance(blocks[place + 1], Wide):
                    section = self.document.add_section(WD_SECTION.NEW_PAGE)
                    self._page(section, wide=False)
                    self._edges(section)
            else:
                following = blocks[place + 1] if place + 1 < len(blocks) else None
                if isinstance(block, Passage):
                    self._passage(block, kept=isinstance(following, Paragraph) and following.look == "small")
                    continue
                self._block(block)
                if isinstance(block, Paragraph) and isinstance(following, Table):
                    self.document.paragraphs[-1].paragraph_format.keep_with_next = True  # a sentence that leads to a table stays with it

    def _block(self, block: Block) -> None:
        if isinstance(block, Heading):
            self.document.add_heading(block.text, level=block.level).paragraph_format.page_break_before = self.fresh or None
            self.fresh = False
        elif isinstance(block, Break):
            self.fresh = True
        elif isinstance(block, Paragraph):
            self._paragraph(block)
        elif isinstance(block, Note):
            self._box(block.text)
        elif isinstance(block, Bullets):
            for number, item in enumerate(block.items, start=1):
                if block.numbered:  # plain numbers: a list of Word goes on counting from the list before
                    line = self.document.add_paragraph(f"{number}　{item}")
                    line.paragraph_format.left_indent, line.paragraph_format.first_line_indent = Pt(21), Pt(-21)
                    line.paragraph_format.space_after = Pt(2)
                else:
                    self._line("List Bullet", item)
        elif isinstance(block, Table):
            self._table(block)
        elif isinstance(block, Picture):
            self._picture(block)
        elif isinstance(block, Passages):
            self._passages(block)

    def _paragraph(self, block: Paragraph) -> None:
        for text in block.text.split("\n"):
            if block.look == "small":
                self._line("Remark", text)
                continue
            line = self.document.add_paragraph(text)
            if block.look == "body":
                line.paragraph_format.first_line_indent = Pt(10.5)
            elif block.look == "right":
                line.alignment = WD_ALIGN_PARAGRAPH.RIGHT
            elif block.look == "strong":
                line.runs[0].bold = True

    def _box(self, text: str) -> None:
        """A remark with a rule at its left and a light ground."""
        line = self._line("Cell")
        line.add_run(text)
        form = line.paragraph_format
        form.left_indent, form.right_indent, form.space_before, form.space_after = Mm(3), Mm(1), Pt(4), Pt(6)
        properties = line._p.get_or_add_pPr()
        border = _child(properties, "w:pBdr")
        _child(border, "w:left", val="single", sz="18", space="6", color="7A4A00")
        _child(properties, "w:shd", val="clear", color="auto", fill="FFF8E5")
        _ordered(properties)

    def _table(self, block: Table) -> None:
        self._line("Caption", block.title)
        table = self._grid(len(block.rows) + 1, [share / sum(block.widths) for share in block.widths], block.title, fine=block.fine)
        header = table.rows[0]._tr.get_or_add_trPr()
        _child(header, "w:cantSplit")
        _child(header, "w:tblHeader")
        for place, text in enumerate(block.head):
            self._cell(table.rows[0].cells[place], text, "Cell head", "c" if block.align[place] != "l" else "l", fill="F0F0F0")
        rows = table.rows  # once: python-docx counts them anew each time
        for number, row in enumerate(block.rows):
            line = rows[number + 1]
            _child(line._tr.get_or_add_trPr(), "w:cantSplit")
            cells, strong = line.cells, number in block.strong
            for place, text in enumerate(row):
                self._cell(cells[place], text, "Cell fine" if block.fine else "Cell", block.align[place], bold=strong, fill="F7F7F7" if strong else "")
        kept = list(rows) if block.whole else []
        for line in kept if block.remarks else kept[:-1]:
            for cell in line.cells:
                for paragraph in cell.paragraphs:
                    paragraph.paragraph_format.keep_with_next = True
        for text in block.remarks:
            self._line("Remark", text)
        self._gap()

    def _grid(self, rows: int, shares: Sequence[float], title: str, *, fine: bool = False) -> Any:
        """An empty table with thin rules and fixed widths."""
        table = self.document.add_table(rows, len(shares))
        table.style = "Table Grid"
        table.alignment = WD_TABLE_ALIGNMENT.CENTER
        table.autofit = False
        properties = table._tbl.tblPr
        borders = _child(properties, "w:tblBorders")
        for side in ("top", "left", "bottom", "right", "insideH", "insideV"):
            _child(borders, f"w:{side}", val="single", sz="4", space="0", color="A6A6A6")
        margins = _child(properties, "w:tblCellMar")
        side_margin = "40" if fine else "85"
        for side, margin in (("top", "40"), ("left", side_margin), ("bottom", "40"), ("right", side_margin)):
            _child(margins, f"w:{side}", w=margin, type="dxa")
        _child(properties, "w:tblCaption", val=title)
        _ordered(properties, TABLE_ORDER)
        widths = [Emu(int(Mm(self.width) * share)) for share in shares]
        for column, width in zip(table._tbl.tblGrid.findall(qn("w:gridCol")), widths, strict=True):
            column.set(qn("w:w"), str(int(width.twips)))
        for line in table._tbl.tr_lst:
            for cell, width in zip(line.tc_lst, widths, strict=True):
                cell.width = width
        return table

    def _line(self, style: str, text: str = "") -> Any:
        """A paragraph of the text with a style."""
        line = self.document.add_paragraph(text)
        line._p.style = self._style_id(style)
        return line

    def _style_id(self, name: str) -> str:
        if name not in self.style_ids:
            self.style_ids[name] = str(self.document.styles[name].style_id)
        return self.style_ids[name]

    def _cell(self, cell: Any, text: str, style: str, align: str, *, bold: bool = False, fill: str = "") -> None:
        lines = text.split("\n")
        for number, line in enumerate(lines):
            paragraph = cell.paragraphs[0] if number == 0 else cell.add_paragraph()
            paragraph._p.style = self._style_id(style)  # by id: the library's own way looks through all styles for each paragraph
            paragraph.alignment = ALIGN[align]
            if line:
                run = paragraph.add_run(line)
                if bold:
                    run.bold = True
        if fill:
            _child(cell._tc.get_or_add_tcPr(), "w:shd", val="clear", color="auto", fill=fill)

    def _picture(self, block: Picture) -> None:
        width = self.width * block.width
        line = self.document.add_paragraph()
        line.alignment = WD_ALIGN_PARAGRAPH.CENTER
        line.paragraph_format.keep_with_next = bool(block.caption)
        shape = line.add_run().add_picture(io.BytesIO(drawn(block.svg, width)), width=Mm(width))
        described = shape._inline.docPr
        described.set("descr", block.alt)
        described.set("title", block.caption or block.alt)
        if block.caption:
            below = self._line("Caption", block.caption)
            below.alignment = WD_ALIGN_PARAGRAPH.CENTER
            below.paragraph_format.keep_with_next = False

    def _passage(self, block: Passage, *, kept: bool) -> None:
        """A table of one column and two rows: the key in small grey letters, below it the text that may be rewritten."""
        table = self._grid(2, [1.0], f"{block.label} {SIGN.format(key=block.key)}")
        for row in list(table.rows)[: 2 if len(block.text) < LONG_PASSAGE else 1]:
            _child(row._tr.get_or_add_trPr(), "w:cantSplit")
        self._cell(table.rows[0].cells[0], f"{block.label}　{SIGN.format(key=block.key)}", "Key", "l", fill="F7F7F7")
        table.rows[0].cells[0].paragraphs[0].paragraph_format.keep_with_next = True
        cell = table.rows[1].cells[0]
        self._cell(cell, block.text, "Cell", "l")
        for line in cell.paragraphs:
            line.paragraph_format.line_spacing, line.paragraph_format.keep_with_next = 1.3, kept or None
            for run in line.runs:
                run.font.size = Pt(10)
        if block.made:
            self._box(block.made)
        else:
            self._gap(kept=kept)

    def _gap(self, *, kept: bool = False) -> None:
        """Two tables that follow each other would become one without a paragraph between them."""
        self._line("Gap").paragraph_format.keep_with_next = kept or None

    def _passages(self, block: Passages) -> None:
        """One row a passage: its name and key at the left, its text at the right."""
        table = self._grid(len(block.rows) + 1, [0.36, 0.64], block.head[0])
        header = table.rows[0]._tr.get_or_add_trPr()
        _child(header, "w:cantSplit")
        _child(header, "w:tblHeader")
        for place, text in enumerate(block.head):
            self._cell(table.rows[0].cells[place], text, "Cell head", "l", fill="F0F0F0")
        for row, passage in zip(list(table.rows)[1:], block.rows, strict=True):
            left, right = row.cells
            self._cell(left, f"{passage.label}\n{SIGN.format(key=passage.key)}", "Key", "l")
            self._cell(right, "\n".join(part for part in (passage.text, passage.made) if part), "Cell", "l")
        self._gap()


def drawn(svg: str, width_mm: float) -> bytes:
    """A drawing as PNG, for programs that read no SVG."""
    page = f"#set page(width: {width_mm:.1f}mm, height: auto, margin: 0pt)\n"
    source: Any = f'{page}#set text(font: "Noto Sans JP")\n#image(bytes(sys.inputs.svg), format: "svg", width: 100%)'.encode()
    made: Any = typst.compile(source, font_paths=[str(need_fonts())], ignore_system_fonts=True, format="png", ppi=PICTURE_PPI, sys_inputs={"svg": svg})
    assert isinstance(made, bytes)
    return made


# The order that the schema of WordprocessingML asks for, as far as used here.
PARAGRAPH_ORDER = (
    "pStyle", "keepNext", "keepLines", "pageBreakBefore", "widowControl", "numPr", "pBdr", "shd", "tabs", "spacing", "ind", "contextualSpacing", "jc",
    "outlineLvl", "rPr",
)  # fmt: skip
TABLE_ORDER = ("tblStyle", "tblW", "jc", "tblBorders", "tblLayout", "tblCellMar", "tblLook", "tblCaption", "tblDescription")


def _ordered(properties: Any, order: Sequence[str] = PARAGRAPH_ORDER) -> None:
    """Put the children of a properties element into the order of the schema; strict readers refuse any other."""
    known = {qn(f"w:{name}"): place for place, name in enumerate(order)}
    for child in sorted(properties, key=lambda child: known.get(child.tag, len(order))):
        properties.append(child)
