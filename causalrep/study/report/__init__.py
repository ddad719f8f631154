"""Reports of a study: Markdown tables, figures, and the page that combines them with the claims."""
