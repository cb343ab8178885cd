// @ts-check
/** The few words of the partner's page, in the languages of those who read it. */

/** @type {Record<string, {waiting: string, speak: string, hear: string, connecting: string, lost: string, failed: string}>} */
export const PARTNER = {
  en: { waiting: "What is said to you appears here.", speak: "Hold to talk", hear: "Tap to hear", connecting: "Connecting", lost: "Connection lost. Trying again.", failed: "This page is no longer open to you." },
  ar: { waiting: "سيظهر هنا ما يُقال لك.", speak: "اضغط مطولاً للتحدث", hear: "اضغط للاستماع", connecting: "جارٍ الاتصال", lost: "انقطع الاتصال. تتم إعادة المحاولة.", failed: "لم تعد هذه الصفحة متاحة لك." },
  de: { waiting: "Was man Ihnen sagt, erscheint hier.", speak: "Zum Sprechen halten", hear: "Zum Hören tippen", connecting: "Verbindung wird aufgebaut", lost: "Verbindung verloren. Neuer Versuch.", failed: "Diese Seite ist für Sie nicht mehr offen." },
  es: { waiting: "Lo que le digan aparecerá aquí.", speak: "Mantenga pulsado para hablar", hear: "Toque para oír", connecting: "Conectando", lost: "Conexión perdida. Reintentando.", failed: "Esta página ya no está disponible para usted." },
  fr: { waiting: "Ce que l’on vous dit apparaît ici.", speak: "Maintenez pour parler", hear: "Touchez pour écouter", connecting: "Connexion", lost: "Connexion perdue. Nouvel essai.", failed: "Cette page ne vous est plus ouverte." },
  it: { waiting: "Quello che le dicono appare qui.", speak: "Tenga premuto per parlare", hear: "Tocchi per ascoltare", connecting: "Connessione", lost: "Connessione persa. Nuovo tentativo.", failed: "Questa pagina non è più disponibile per lei." },
  ja: { waiting: "あなたへの言葉がここに表示されます。", speak: "押しながら話す", hear: "タップして聞く", connecting: "接続中", lost: "接続が切れました。再接続しています。", failed: "このページはもう利用できません。" },
  nl: { waiting: "Wat tegen u wordt gezegd, verschijnt hier.", speak: "Houd ingedrukt om te praten", hear: "Tik om te luisteren", connecting: "Verbinden", lost: "Verbinding verbroken. Nieuwe poging.", failed: "Deze pagina is niet meer voor u open." },
  pl: { waiting: "Tutaj pojawi się to, co ktoś do Ciebie mówi.", speak: "Przytrzymaj, aby mówić", hear: "Dotknij, aby słuchać", connecting: "Łączenie", lost: "Utracono połączenie. Ponawiam próbę.", failed: "Ta strona nie jest już dostępna." },
  pt: { waiting: "O que lhe disserem aparece aqui.", speak: "Segure para falar", hear: "Toque para ouvir", connecting: "Conectando", lost: "Conexão perdida. Tentando de novo.", failed: "Esta página já não está disponível." },
  ru: { waiting: "Здесь появится то, что вам говорят.", speak: "Удерживайте, чтобы говорить", hear: "Нажмите, чтобы слушать", connecting: "Подключение", lost: "Связь потеряна. Пробуем снова.", failed: "Эта страница вам больше не доступна." },
  tr: { waiting: "Size söylenenler burada görünür.", speak: "Konuşmak için basılı tutun", hear: "Dinlemek için dokunun", connecting: "Bağlanıyor", lost: "Bağlantı koptu. Yeniden deneniyor.", failed: "Bu sayfa artık size açık değil." },
  zh: { waiting: "对您说的话会显示在这里。", speak: "按住说话", hear: "点按收听", connecting: "正在连接", lost: "连接中断，正在重试。", failed: "您已无法使用此页面。" },
};
