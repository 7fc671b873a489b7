/** What the demo posts: things people write, awkward ones among them. */
export const messages: ReadonlyArray<{ readonly sender: string; readonly text: string }> = [
  {
    sender: "ana",
    text: "The release notes are at https://nodejs.org/en/blog/release (scroll down to 26.x)."
  },
  { sender: "bo", text: "@ana thanks! nodejs/node#58231 looks related, and #57102 too." },
  {
    sender: "cy",
    text: "Minutes:\n- [ ] ask @ops-team for a staging token\n- [x] book the room\nTODO(bo): measure cold starts"
  },
  { sender: "dee", text: "No scheme needed: example.org/docs, docs.example.com:8443/a?b=c#d" },
  {
    sender: "ana",
    text: "In parentheses (see https://en.wikipedia.org/wiki/Effect_(computer_science)), then a dot."
  },
  { sender: "bo", text: "🦊🦊 an astral pair before https://example.com/🦊?q=𝒳 and after" },
  {
    sender: "cy",
    text: "IDN and RTL: https://münchen.example/straße – مرحبا @layla، انظر https://مثال.إختبار/صفحة"
  },
  { sender: "dee", text: "Regressed in 9f8b2c41d7e0a1b2c3d4e5f60718293a4b5c6d7e, fixed by GH-12." },
  {
    sender: "ana",
    text: "Again https://nodejs.org/en/blog/release, once more: the topic keeps one attachment for it."
  },
  { sender: "bo", text: "mail me at bo@example.com, that is no mention; @cy is one." },
  { sender: "cy", text: "```sh\ncurl https://example.com/install.sh | sh   # please don't\n```" },
  { sender: "dee", text: "Nothing to see here." }
]
