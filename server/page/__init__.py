"""The page's files: an ES module, a style sheet, an icon."""
