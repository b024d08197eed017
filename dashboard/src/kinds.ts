// What has an icon and a colour: kinds of alerts and of deviations. `other` is one that this page does not know.
export type Kind = 'drop' | 'rise' | 'slower' | 'faster' | 'silent' | 'other';
