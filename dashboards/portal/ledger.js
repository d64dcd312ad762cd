// The ledger of output like a sheet: arrow keys move, a block pasted from a table fills cells.
document.addEventListener('keydown', (event) => {
  const cell = event.target;
  if (!cell.classList || !cell.classList.contains('cell-input')) return;
  const steps = {ArrowUp: [-1, 0], ArrowDown: [1, 0], Enter: [1, 0]};
  const edge = cell.selectionStart === cell.selectionEnd;
  if (edge && cell.selectionStart === 0) steps.ArrowLeft = [0, -1];
  if (edge && cell.selectionEnd === cell.value.length) steps.ArrowRight = [0, 1];
  const step = steps[event.key];
  if (!step) return;
  event.preventDefault();
  const next = neighbour(cell, step[0], step[1]);
  if (next) { next.focus(); next.select(); }
});
document.addEventListener('paste', (event) => {
  const cell = event.target;
  if (!cell.classList || !cell.classList.contains('cell-input')) return;
  const rows = event.clipboardData.getData('text').replace(/\r?\n$/, '').split(/\r?\n/);
  const block = rows.map((row) => row.split('\t'));
  if (block.length === 1 && block[0].length === 1) return;
  event.preventDefault();
  block.forEach((row, down) => row.forEach((text, across) => {
    const into = neighbour(cell, down, across);
    if (into) into.value = text.trim().replaceAll(',', '');
  }));
});
function neighbour(cell, down, across) {
  const row = cell.closest('tr');
  const column = [...row.children].indexOf(cell.closest('td')) + across;
  const rows = [...row.parentElement.children];
  const to = rows[rows.indexOf(row) + down];
  return to && to.children[column] ? to.children[column].querySelector('.cell-input') : null;
}
